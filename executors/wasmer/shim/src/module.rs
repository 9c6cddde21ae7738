//! Compiling and loading. Each module has an engine of its own: native code is freed with its
//! engine alone.

use std::fs::File;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::Arc;

use bytes::Bytes;
use shared_buffer::OwnedBuffer;
use wasmer::sys::{CompilerConfig, Cranelift, EngineBuilder, NativeEngineExt, Singlepass};
use wasmer::{Engine, ExportIndex, ExternType, FunctionType, Module, Type};
use wasmer_cache::{Cache, FileSystemCache, Hash};

use crate::limits::{Limits, TABLE_ELEMENTS};

/// A function that the host offers.
pub struct HostFunction {
    pub name: String,
    pub ty: FunctionType,
}

/// All functions that the host offers, of one module.
pub struct Host {
    pub module: String,
    pub functions: Vec<HostFunction>,
}

/// A module that can be instantiated.
pub struct Loaded {
    pub engine: Engine,
    pub module: Module,
    /// For each import, the number of the host's function.
    pub imports: Vec<(usize, FunctionType)>,
    /// Which of the module's own memories is exported as "memory".
    pub exported_memory: Option<u32>,
}

pub fn config(compiler: &str) -> Result<Box<dyn CompilerConfig>, String> {
    match compiler {
        "cranelift" => Ok(Box::new(Cranelift::new())),
        "singlepass" => Ok(Box::new(Singlepass::new())),
        #[cfg(feature = "llvm")]
        "llvm" => Ok(Box::new(wasmer::sys::LLVM::new())),
        _ => Err(format!("Wasmer has no compiler '{compiler}' here")),
    }
}

/// What compiles. Shared memories are left out: a guest that waits on one cannot be ended.
fn compiler_engine(compiler: &str, tables: Arc<AtomicU32>) -> Result<Engine, String> {
    let config = config(compiler)?;
    let mut features = config.default_features_for_target(&Default::default());
    features.threads(false);
    let mut engine: Engine = EngineBuilder::new(config)
        .set_features(Some(features))
        .engine()
        .into();
    engine.set_tunables(Limits::new(tables));
    Ok(engine)
}

pub fn one_line(error: impl std::fmt::Display) -> String {
    let text = error.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

pub fn compile(compiler: &str, wasm: &[u8], host: &Host) -> Result<Vec<u8>, String> {
    let engine = compiler_engine(compiler, Default::default())?;
    let module = Module::new(&engine, wasm).map_err(one_line)?;
    // What a load would refuse is refused here, where it can be told to whoever deploys.
    link(&module, host)?;
    let start = FunctionType::new([], []);
    match module
        .exports()
        .find(|export| export.name() == "_start")
        .map(|it| it.ty().clone())
    {
        Some(ExternType::Function(ty)) if ty == start => {}
        _ => {
            return Err(
                "the module's function _start takes parameters or returns something; that \
                        of a command does neither"
                    .into(),
            );
        }
    }
    Ok(sealed(&module.serialize().map_err(one_line)?))
}

pub fn load(file: File, host: &Host) -> Result<Loaded, String> {
    let mut engine = Engine::headless();
    let tables = Arc::new(AtomicU32::new(0));
    engine.set_tunables(Limits::new(tables.clone()));
    let module = deserialize(&engine, file)?;
    loaded(engine, module, host, &tables).map_err(|error| format!("cannot link: {error}"))
}

/// Of a file that `compile` made.
pub fn deserialize(engine: &Engine, file: File) -> Result<Module, String> {
    let bytes = OwnedBuffer::from_file(&file).map_err(one_line)?;
    let code = unsealed(&bytes)?;
    // SAFETY: these are the bytes that `compile` wrote.
    unsafe { Module::deserialize_unchecked(engine, Bytes::from_owner(code)) }.map_err(one_line)
}

pub fn translate(
    compiler: &str,
    wasm: &[u8],
    cache_folder: &str,
    host: &Host,
) -> Result<Loaded, String> {
    let tables = Arc::new(AtomicU32::new(0));
    let engine = compiler_engine(compiler, tables.clone())?;
    let module = translated(&engine, compiler, wasm, cache_folder)?;
    loaded(engine, module, host, &tables)
}

/// Through the cache in `cache_folder`, unless that is empty.
pub fn translated(
    engine: &Engine,
    compiler: &str,
    wasm: &[u8],
    cache_folder: &str,
) -> Result<Module, String> {
    if cache_folder.is_empty() {
        return Module::new(engine, wasm).map_err(one_line);
    }
    let mut cache = FileSystemCache::new(cache_folder)
        .map_err(|error| format!("Wasmer cannot keep its cache in {cache_folder}: {error}"))?;
    let name = [compiler.as_bytes(), b" ", wasm].concat();
    let key = Hash::generate(&name);
    // SAFETY: the folder is this engine's alone.
    if let Ok(module) = unsafe { cache.load(engine, key) } {
        return Ok(module);
    }
    let module = Module::new(engine, wasm).map_err(one_line)?;
    cache
        .store(key, &module)
        .map_err(|error| format!("Wasmer cannot keep its cache in {cache_folder}: {error}"))?;
    Ok(module)
}

fn loaded(
    engine: Engine,
    module: Module,
    host: &Host,
    tables: &AtomicU32,
) -> Result<Loaded, String> {
    let imports = link(&module, host)?;
    let info = module.info();
    tables.store(info.tables.len() as u32, Relaxed);
    let exported_memory = match info.exports.get("memory") {
        Some(ExportIndex::Memory(index)) => Some(index.as_u32()),
        _ => None,
    };
    Ok(Loaded {
        engine,
        module,
        imports,
        exported_memory,
    })
}

fn type_name(ty: &Type) -> &'static str {
    match ty {
        Type::I32 => "i32",
        Type::I64 => "i64",
        _ => "another",
    }
}

fn signature(ty: &FunctionType) -> String {
    let names = |types: &[Type]| types.iter().map(type_name).collect::<Vec<_>>().join(", ");
    format!("({}) -> ({})", names(ty.params()), names(ty.results()))
}

/// For each import, the host's function; fails also when the module's tables are too large.
fn link(module: &Module, host: &Host) -> Result<Vec<(usize, FunctionType)>, String> {
    let mut imports = Vec::new();
    for import in module.imports() {
        let name = format!("{}::{}", import.module(), import.name());
        let ExternType::Function(wanted) = import.ty() else {
            return Err(format!("the module imports {name}, which is no function"));
        };
        let found = (import.module() == host.module)
            .then(|| {
                host.functions
                    .iter()
                    .position(|function| function.name == import.name())
            })
            .flatten();
        let Some(index) = found else {
            return Err(format!("unknown import: {name} has not been defined"));
        };
        let ty = &host.functions[index].ty;
        if ty != wanted {
            return Err(format!(
                "incompatible import type for {name}: it is {}, the module wants {}",
                signature(ty),
                signature(wanted)
            ));
        }
        imports.push((index, ty.clone()));
    }
    let tables = &module.info().tables;
    let elements: u64 = tables.values().map(|table| u64::from(table.minimum)).sum();
    if elements > u64::from(TABLE_ELEMENTS) {
        return Err(format!(
            "the module's tables have {elements} elements; {TABLE_ELEMENTS} are allowed"
        ));
    }
    Ok(imports)
}

// A file of native code: a head of 64 bytes (magic, hash of the rest, its size, zeros), then what
// Wasmer serialized, which needs an alignment of 16 bytes. Wasmer maps whatever the rest says.
const MAGIC: &[u8; 8] = b"HSwasmer";
const HEAD: usize = 64;

fn head(code: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    let hash = Hash::generate(code).to_string();
    head[8..40].copy_from_slice(&hash.as_bytes()[..32]);
    head[40..48].copy_from_slice(&(code.len() as u64).to_le_bytes());
    head
}

fn sealed(code: &[u8]) -> Vec<u8> {
    [&head(code), code].concat()
}

fn unsealed(bytes: &OwnedBuffer) -> Result<OwnedBuffer, String> {
    if bytes.len() < HEAD || !bytes.starts_with(MAGIC) {
        return Err("it is no native code of Wasmer".into());
    }
    let code = bytes.slice(HEAD..);
    if bytes[..HEAD] != head(&code) {
        return Err("the native code is damaged".into());
    }
    Ok(code)
}
