//! The Wasmtime engine as one static library: the C API of the LTS line and three functions that it
//! lacks. They are declared for C++ in `../shim.h`.
//!
//! The C API's own types are opaque here: their fields are private to its crate. Where a function of
//! ours has to look inside one, it relies on the type being a struct of exactly one field, which the
//! assertions below check at compile time: a one-field struct that has its field's size and
//! alignment has that field at offset 0.

pub use wasmtime_c_api::*;

use std::fs::File;
use std::mem::{align_of, size_of};
use std::os::fd::FromRawFd;
use wasmtime_c_api::wasmtime::{
    Enabled, Engine, Module, PoolingAllocationConfig, ResourceLimiter, Result,
};

macro_rules! assert_same_layout {
    ($outer:ty, $inner:ty) => {
        const _: () = assert!(
            size_of::<$outer>() == size_of::<$inner>()
                && align_of::<$outer>() == align_of::<$inner>()
        );
    };
}
assert_same_layout!(wasm_engine_t, Engine);
assert_same_layout!(wasmtime_module_t, Module);
assert_same_layout!(wasmtime_store_t, WasmtimeStore);
assert_same_layout!(
    wasmtime_pooling_allocation_config_t,
    PoolingAllocationConfig
);

/// `wasmtime_module_deserialize_file` for a descriptor instead of a path, since the jail has no
/// path names. Maps the file; takes the descriptor over.
///
/// # Safety
/// The file holds what `wasmtime_module_serialize` of a compatible engine wrote and never changes
/// while it is mapped; `fd` is open and nobody else closes it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_module_deserialize_fd(
    engine: &wasm_engine_t,
    fd: i32,
    out: &mut *mut wasmtime_module_t,
) -> Option<Box<wasmtime_error_t>> {
    let engine = unsafe { &*(engine as *const wasm_engine_t).cast::<Engine>() };
    let file = unsafe { File::from_raw_fd(fd) };
    match unsafe { Module::deserialize_open_file(engine, file) } {
        Ok(module) => {
            *out = Box::into_raw(Box::new(module)).cast::<wasmtime_module_t>();
            None
        }
        Err(error) => Some(Box::new(wasmtime_error_t::from(error))),
    }
}

/// How much one instance may hold, over all its memories together, and what it held.
///
/// The C API's own limiter bounds each memory alone and does not tell that it refused a growth.
#[repr(C)]
pub struct hybridserve_budget_t {
    memory_limit_bytes: u64,
    memory_used_bytes: u64,
    table_limit_elements: u64,
    table_used_elements: u64,
    /// Set when a memory or table was refused, at the start or in a growth.
    refused: bool,
}

impl ResourceLimiter for hybridserve_budget_t {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let used = self.memory_used_bytes + desired.saturating_sub(current) as u64;
        if used > self.memory_limit_bytes {
            self.refused = true;
            return Ok(false);
        }
        self.memory_used_bytes = used;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let used = self.table_used_elements + desired.saturating_sub(current) as u64;
        if used > self.table_limit_elements {
            self.refused = true;
            return Ok(false);
        }
        self.table_used_elements = used;
        Ok(true)
    }

    fn instances(&self) -> usize {
        1
    }
}

struct Budget(*mut hybridserve_budget_t);

// SAFETY: a store runs on one thread at a time, and only its running guest reaches the budget.
unsafe impl Send for Budget {}
unsafe impl Sync for Budget {}

impl Budget {
    fn get(&mut self) -> *mut hybridserve_budget_t {
        self.0
    }
}

/// Bounds what instances of `store` may hold.
///
/// # Safety
/// `budget` outlives the store.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn hybridserve_store_set_budget(
    store: &mut wasmtime_store_t,
    budget: *mut hybridserve_budget_t,
) {
    let store = unsafe { &mut *(store as *mut wasmtime_store_t).cast::<WasmtimeStore>() };
    let mut budget = Budget(budget);
    store.limiter(move |_| unsafe { &mut *budget.get() });
}

/// Lets the pool ask the kernel which pages a guest wrote (PAGEMAP_SCAN, Linux 6.7) instead of
/// clearing a fixed amount. Returns whether that works here: the kernel knows it, and the process
/// can open /proc/self/pagemap now and when the engine is made.
#[unsafe(no_mangle)]
pub extern "C" fn hybridserve_pooling_pagemap_scan(
    config: &mut wasmtime_pooling_allocation_config_t,
) -> bool {
    let config = unsafe {
        &mut *(config as *mut wasmtime_pooling_allocation_config_t).cast::<PoolingAllocationConfig>()
    };
    config.pagemap_scan(Enabled::Auto);
    PoolingAllocationConfig::is_pagemap_scan_available()
}
