//! One command with Wasmer's own WASI (WASIX), as Wasmer's own program runs it.

use std::fs::File;
use std::sync::Arc;
use std::time::{Duration, Instant};

use virtual_fs::{ArcFileSystem, EmptyFileSystem, FileSystem, OverlayFileSystem, host_fs};
use wasmer::sys::EngineBuilder;
use wasmer::{Engine, RuntimeError};
use wasmer_types::ModuleHash;
use wasmer_wasix::runners::MountedDirectory;
use wasmer_wasix::runners::wasi::{RuntimeOrEngine, WasiRunner};
use wasmer_wasix::{WasiError, WasiRuntimeError};

use crate::module;
use crate::run::describe;

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
    let engine: Engine = EngineBuilder::new(module::config(command.compiler)?).engine().into();
    let module = match command.code {
        Some(file) => module::deserialize(&engine, file)?,
        None => module::translated(&engine, command.compiler, command.wasm, command.cache_folder)?,
    };
    let load = began.elapsed();

    let name = command.arguments.first().cloned().unwrap_or_default();
    let mut runner = WasiRunner::new();
    runner.with_args(command.arguments.into_iter().skip(1));
    runner.with_envs(command.environment);
    let folders = command.folders.iter().map(mounted).collect::<Result<Vec<_>, _>>()?;
    runner.with_mounted_directories(folders);

    let began = Instant::now();
    let hash = ModuleHash::random();
    let result = runner.run_wasm(RuntimeOrEngine::Engine(engine), &name, module, hash);
    let run = began.elapsed();
    let (exit_status, trap) = match result {
        Ok(()) => (0, None),
        Err(error) => ended(error)?,
    };
    Ok(Ending { exit_status, trap, load, run })
}

/// A host's folder; one that may not be written lies below an empty file system that takes nothing.
fn mounted(folder: &Folder) -> Result<MountedDirectory, String> {
    let handle = tokio::runtime::Handle::current();
    let host = host_fs::FileSystem::new(handle, &folder.host)
        .map_err(|error| format!("Wasmer cannot open the folder {}: {error}", folder.host))?;
    let host: Arc<dyn FileSystem + Send + Sync> = Arc::new(host);
    let fs = if folder.writable {
        host
    } else {
        Arc::new(OverlayFileSystem::new(EmptyFileSystem::default(), [ArcFileSystem::new(host)]))
    };
    Ok(MountedDirectory { guest: folder.guest.clone(), fs })
}

/// Exit status and trap of what ended with an error.
fn ended(error: anyhow::Error) -> Result<(u32, Option<String>), String> {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<WasiRuntimeError>() {
            if let Some(code) = error.as_exit_code() {
                return Ok((code.raw() as u32, None));
            }
            if let WasiRuntimeError::Runtime(error) = error {
                return Ok((0, Some(describe(error))));
            }
        }
        if let Some(WasiError::Exit(code)) = cause.downcast_ref::<WasiError>() {
            return Ok((code.raw() as u32, None));
        }
        if let Some(error) = cause.downcast_ref::<RuntimeError>() {
            return Ok((0, Some(describe(error))));
        }
    }
    Err(module::one_line(format!("{error:#}")))
}
