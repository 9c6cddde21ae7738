//! The Wasmer engine as one static library: the functions of `../shim.h`, and nothing else of it.
//! What a function needs of its caller is said there.
#![allow(clippy::missing_safety_doc, non_camel_case_types)]

mod command;
mod interrupt;
mod limits;
mod module;
mod run;

use std::ffi::{c_char, c_int, c_void, CString};
use std::fs::File;
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr::{null_mut, slice_from_raw_parts_mut};
use std::slice::from_raw_parts;

use wasmer::{FunctionType, Type};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct hybridserve_wasmer_view {
    data: *const c_char,
    size: usize,
}

impl hybridserve_wasmer_view {
    unsafe fn bytes<'a>(self) -> &'a [u8] {
        if self.size == 0 {
            &[]
        } else {
            unsafe { from_raw_parts(self.data.cast(), self.size) }
        }
    }

    unsafe fn text<'a>(self) -> Result<&'a str, String> {
        str::from_utf8(unsafe { self.bytes() }).map_err(|_| "a text is not UTF-8".to_string())
    }
}

#[repr(C)]
pub struct hybridserve_wasmer_bytes {
    data: *mut u8,
    size: usize,
}

#[repr(C)]
pub struct hybridserve_wasmer_function {
    name: hybridserve_wasmer_view,
    parameters: hybridserve_wasmer_view,
    returns: bool,
}

#[repr(C)]
pub struct hybridserve_wasmer_host {
    module: hybridserve_wasmer_view,
    functions: *const hybridserve_wasmer_function,
    count: usize,
    call: run::Call,
}

impl hybridserve_wasmer_host {
    unsafe fn read(&self) -> Result<module::Host, String> {
        let mut functions = Vec::new();
        for function in unsafe { list(self.functions, self.count) } {
            let letters = unsafe { function.parameters.text()? };
            let parameters: Vec<Type> = letters
                .chars()
                .map(|it| if it == 'I' { Type::I64 } else { Type::I32 })
                .collect();
            let results: &[Type] = if function.returns { &[Type::I32] } else { &[] };
            functions.push(module::HostFunction {
                name: unsafe { function.name.text()? }.to_owned(),
                ty: FunctionType::new(parameters, results),
            });
        }
        Ok(module::Host {
            module: unsafe { self.module.text()? }.to_owned(),
            functions,
        })
    }
}

#[repr(C)]
pub struct hybridserve_wasmer_usage {
    memory_bytes: u64,
    refused: bool,
}

pub struct hybridserve_wasmer_module {
    loaded: module::Loaded,
    call: run::Call,
}

pub struct hybridserve_wasmer_store {
    stopper: run::Stopper,
    module: *const hybridserve_wasmer_module,
    run: *mut c_void,
    state: *mut run::Run,
}

unsafe fn list<'a, T>(data: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        &[]
    } else {
        unsafe { from_raw_parts(data, count) }
    }
}

fn text(message: String) -> *mut c_char {
    CString::new(message.replace('\0', " "))
        .unwrap_or_default()
        .into_raw()
}

/// A null pointer, or the error as a text.
fn answer<T>(result: Result<T, String>, take: impl FnOnce(T)) -> *mut c_char {
    match result {
        Ok(value) => {
            take(value);
            null_mut()
        }
        Err(message) => text(message),
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_text_free(text: *mut c_char) {
    if !text.is_null() {
        drop(unsafe { CString::from_raw(text) });
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_bytes_free(bytes: hybridserve_wasmer_bytes) {
    if !bytes.data.is_null() {
        drop(unsafe { Box::from_raw(slice_from_raw_parts_mut(bytes.data, bytes.size)) });
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn hybridserve_wasmer_version() -> *const c_char {
    // As Cargo.toml pins it.
    c"7.4.2".as_ptr()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_has(compiler: hybridserve_wasmer_view) -> bool {
    unsafe { compiler.text() }.and_then(module::config).is_ok()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_compile(
    compiler: hybridserve_wasmer_view,
    wasm: hybridserve_wasmer_view,
    host: &hybridserve_wasmer_host,
    code: &mut hybridserve_wasmer_bytes,
) -> *mut c_char {
    let compile = || unsafe { module::compile(compiler.text()?, wasm.bytes(), &host.read()?) };
    answer(compile(), |bytes| {
        let bytes = Box::leak(bytes.into_boxed_slice());
        *code = hybridserve_wasmer_bytes {
            data: bytes.as_mut_ptr(),
            size: bytes.len(),
        };
    })
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_load(
    fd: c_int,
    host: &hybridserve_wasmer_host,
    module: &mut *mut hybridserve_wasmer_module,
) -> *mut c_char {
    let file = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
    let load = || module::load(file, &unsafe { host.read() }?);
    answer(load(), |loaded| *module = boxed(loaded, host))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_translate(
    compiler: hybridserve_wasmer_view,
    wasm: hybridserve_wasmer_view,
    cache_folder: hybridserve_wasmer_view,
    host: &hybridserve_wasmer_host,
    module: &mut *mut hybridserve_wasmer_module,
) -> *mut c_char {
    let translate = || unsafe {
        module::translate(
            compiler.text()?,
            wasm.bytes(),
            cache_folder.text()?,
            &host.read()?,
        )
    };
    answer(translate(), |loaded| *module = boxed(loaded, host))
}

fn boxed(loaded: module::Loaded, host: &hybridserve_wasmer_host) -> *mut hybridserve_wasmer_module {
    Box::into_raw(Box::new(hybridserve_wasmer_module {
        loaded,
        call: host.call,
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_module_delete(module: *mut hybridserve_wasmer_module) {
    if !module.is_null() {
        drop(unsafe { Box::from_raw(module) });
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_store_new(
    module: &hybridserve_wasmer_module,
    memory_limit_bytes: u64,
    run: *mut c_void,
) -> *mut hybridserve_wasmer_store {
    let (state, stopper) = run::Run::new(&module.loaded, memory_limit_bytes);
    let state = Box::into_raw(Box::new(state));
    Box::into_raw(Box::new(hybridserve_wasmer_store {
        stopper,
        module,
        run,
        state,
    }))
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_store_delete(store: *mut hybridserve_wasmer_store) {
    if !store.is_null() {
        let store = unsafe { Box::from_raw(store) };
        drop(unsafe { Box::from_raw(store.state) });
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_store_instantiate(
    store: &hybridserve_wasmer_store,
) -> *mut c_char {
    let module = unsafe { &*store.module };
    let state = unsafe { &mut *store.state };
    answer(
        state.instantiate(&module.loaded, module.call, store.run),
        |()| (),
    )
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_store_start(
    store: &hybridserve_wasmer_store,
    found: &mut bool,
) -> *mut c_char {
    let ended = unsafe { &mut *store.state }.start();
    *found = ended.is_some();
    answer(ended.unwrap_or(Ok(())), |()| ())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_store_interrupt(store: &hybridserve_wasmer_store) {
    store.stopper.interrupt();
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_store_usage(
    store: &hybridserve_wasmer_store,
) -> hybridserve_wasmer_usage {
    let budget = &unsafe { &*store.state }.budget;
    hybridserve_wasmer_usage {
        memory_bytes: budget.used(),
        refused: budget.refused(),
    }
}

#[repr(C)]
pub struct hybridserve_wasmer_folder {
    host: hybridserve_wasmer_view,
    guest: hybridserve_wasmer_view,
    writable: bool,
}

#[repr(C)]
pub struct hybridserve_wasmer_command {
    compiler: hybridserve_wasmer_view,
    wasm: hybridserve_wasmer_view,
    code: c_int,
    cache_folder: hybridserve_wasmer_view,
    arguments: *const hybridserve_wasmer_view,
    argument_count: usize,
    environment: *const hybridserve_wasmer_view,
    environment_count: usize,
    folders: *const hybridserve_wasmer_folder,
    folder_count: usize,
}

impl hybridserve_wasmer_command {
    unsafe fn read(&self) -> Result<command::Command<'_>, String> {
        let code = (self.code >= 0).then(|| unsafe { OwnedFd::from_raw_fd(self.code) });
        let mut arguments = Vec::new();
        for argument in unsafe { list(self.arguments, self.argument_count) } {
            arguments.push(unsafe { argument.text()? }.to_owned());
        }
        let mut environment = Vec::new();
        for variable in unsafe { list(self.environment, self.environment_count) } {
            let variable = unsafe { variable.text()? };
            let (name, value) = variable.split_once('=').unwrap_or((variable, ""));
            environment.push((name.to_owned(), value.to_owned()));
        }
        let mut folders = Vec::new();
        for folder in unsafe { list(self.folders, self.folder_count) } {
            folders.push(command::Folder {
                host: unsafe { folder.host.text()? }.to_owned(),
                guest: unsafe { folder.guest.text()? }.to_owned(),
                writable: folder.writable,
            });
        }
        Ok(command::Command {
            compiler: unsafe { self.compiler.text()? },
            wasm: unsafe { self.wasm.bytes() },
            code: code.map(File::from),
            cache_folder: unsafe { self.cache_folder.text()? },
            arguments,
            environment,
            folders,
        })
    }
}

#[repr(C)]
pub struct hybridserve_wasmer_ending {
    exit_status: u32,
    trap: *mut c_char,
    load_ns: u64,
    run_ns: u64,
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_wasmer_run_command(
    command: &hybridserve_wasmer_command,
    ending: &mut hybridserve_wasmer_ending,
) -> *mut c_char {
    answer(unsafe { command.read() }.and_then(command::run), |ended| {
        *ending = hybridserve_wasmer_ending {
            exit_status: ended.exit_status,
            trap: ended.trap.map_or(null_mut(), text),
            load_ns: ended.load.as_nanos() as u64,
            run_ns: ended.run.as_nanos() as u64,
        };
    })
}
