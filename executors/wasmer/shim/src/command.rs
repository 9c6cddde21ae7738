//! One command with Wasmer's own WASI (WASIX), set up as Wasmer's own program does it: all folders
//! lie in one tree, which is a preopened directory as "/" and as ".". What is in no folder is in
//! memory.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use virtual_fs::{
    host_fs, ArcFileSystem, EmptyFileSystem, FileSystem, MountFileSystem, OverlayFileSystem,
    RootFileSystemBuilder,
};
use wasmer::sys::{EngineBuilder, NativeEngineExt};
use wasmer::{Engine, InstantiationError, Module, RuntimeError, Store};
use wasmer_wasix::{WasiEnvBuilder, WasiError, WasiRuntimeError};

use crate::module::{self, one_line};
use crate::run::describe;

type DynFileSystem = Arc<dyn FileSystem + Send + Sync>;

pub struct Folder {
    pub host: String,
    pub guest: String,
    pub writable: bool,
}

pub struct Command<'a> {
    pub compiler: &'a str,
    pub wasm: &'a [u8],
    pub code: Option<File>,
    pub cache_folder: &'a str,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub folders: Vec<Folder>,
}

pub struct Ending {
    pub exit_status: u32,
    pub trap: Option<String>,
    pub load: Duration,
    pub run: Duration,
}

pub fn run(command: Command) -> Result<Ending, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start Wasmer's WASI: {error}"))?;
    let _entered = runtime.enter();

    let began = Instant::now();
    let engine: Engine = match command.code {
        Some(_) => Engine::headless(),
        None => EngineBuilder::new(module::config(command.compiler)?)
            .engine()
            .into(),
    };
    let module = match command.code {
        Some(file) => module::deserialize(&engine, file)?,
        None => module::translated(
            &engine,
            command.compiler,
            command.wasm,
            command.cache_folder,
        )?,
    };
    let load = began.elapsed();

    let mut arguments = command.arguments.into_iter();
    let mut builder = WasiEnvBuilder::new(arguments.next().unwrap_or_default());
    builder.set_engine(engine.clone());
    builder.add_args(arguments);
    builder.add_envs(command.environment);
    builder.set_mount_fs(tree(&command.folders)?);
    builder.add_preopen_dir("/").map_err(one_line)?;
    builder
        .add_preopen_build(|p| {
            p.directory("/")
                .alias(".")
                .read(true)
                .write(true)
                .create(true)
        })
        .map_err(one_line)?;

    let began = Instant::now();
    let result = call_start(builder, module, Store::new(engine));
    let run = began.elapsed();
    let (exit_status, trap) = match result {
        Ok(()) => (0, None),
        Err(error) => ended(error)?,
    };
    Ok(Ending {
        exit_status,
        trap,
        load,
        run,
    })
}

fn call_start(
    builder: WasiEnvBuilder,
    module: Module,
    mut store: Store,
) -> Result<(), WasiRuntimeError> {
    let (instance, env) = builder.instantiate(module, &mut store)?;
    let start = instance.exports.get_function("_start")?;
    let result = start.call(&mut store, &[]);
    env.on_exit(&mut store, None);
    Ok(result.map(|_| ())?)
}

fn tree(folders: &[Folder]) -> Result<MountFileSystem, String> {
    let paths: Vec<PathBuf> = folders
        .iter()
        .map(|folder| Path::new("/").join(folder.guest.trim_start_matches("./")))
        .collect();
    let names: Vec<&str> = paths.iter().filter_map(|path| path.to_str()).collect();
    let tree = MountFileSystem::new();
    let memory = Arc::new(RootFileSystemBuilder::default().build_tmp_ext(&names));
    tree.mount(Path::new("/"), memory).map_err(one_line)?;
    for (folder, path) in folders.iter().zip(&paths) {
        let path = if folder.guest == "." {
            Path::new("/")
        } else {
            path
        };
        tree.set_mount(path, host_folder(folder)?)
            .map_err(one_line)?;
    }
    Ok(tree)
}

/// One that may not be written lies below an empty file system that takes nothing.
fn host_folder(folder: &Folder) -> Result<DynFileSystem, String> {
    let handle = tokio::runtime::Handle::current();
    let host: DynFileSystem = host_fs::FileSystem::new(handle, &folder.host)
        .map(Arc::new)
        .map_err(|error| format!("Wasmer cannot open the folder {}: {error}", folder.host))?;
    if folder.writable {
        return Ok(host);
    }
    let nothing = EmptyFileSystem::default();
    Ok(Arc::new(OverlayFileSystem::new(
        nothing,
        [ArcFileSystem::new(host)],
    )))
}

/// Exit status and trap of what ended with an error; an error when it did not begin.
fn ended(error: WasiRuntimeError) -> Result<(u32, Option<String>), String> {
    let trap = |error: &RuntimeError| match error.downcast_ref::<WasiError>() {
        Some(WasiError::Exit(code)) => Ok((code.raw() as u32, None)),
        _ => Ok((0, Some(describe(error)))),
    };
    match &error {
        WasiRuntimeError::Wasi(WasiError::Exit(code)) => Ok((code.raw() as u32, None)),
        WasiRuntimeError::Runtime(error) => trap(error),
        WasiRuntimeError::Instantiation(InstantiationError::Start(error)) => trap(error),
        error => Err(one_line(error)),
    }
}
