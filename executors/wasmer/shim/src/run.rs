//! One instance of a module, for one run.

use std::ffi::c_void;
use std::sync::Arc;

use wasmer::Interrupter;
use wasmer::{Extern, Function, Instance, InstantiationError, RuntimeError, Store, Value};

use crate::interrupt::{trap_handler, Interrupts};
use crate::limits::Budget;
use crate::module::Loaded;

pub const STOP: u32 = 0xffff_ffff;
pub const MAX_PARAMETERS: usize = 16;
const MAX_TRACE_FRAMES: usize = 8;

pub type Call = unsafe extern "C" fn(*mut c_void, usize, *mut u8, u64, *const u64) -> u32;

/// What a host function needs.
#[derive(Clone)]
struct Callee {
    call: Call,
    run: *mut c_void,
    budget: Arc<Budget>,
    interrupts: Arc<Interrupts>,
}

// SAFETY: a store is used by one thread at a time, and its functions only by its guest.
unsafe impl Send for Callee {}
unsafe impl Sync for Callee {}

impl Callee {
    fn call(
        &self,
        function: usize,
        arguments: &[Value],
        returns: bool,
    ) -> Result<Vec<Value>, RuntimeError> {
        let mut raw = [0; MAX_PARAMETERS];
        for (slot, argument) in raw.iter_mut().zip(arguments) {
            *slot = match argument {
                Value::I64(value) => *value as u64,
                Value::I32(value) => u64::from(*value as u32),
                _ => 0,
            };
        }
        let (memory, size) = self.budget.memory();
        // SAFETY: as hybridserve_wasmer_host says.
        let call = || unsafe { (self.call)(self.run, function, memory, size, raw.as_ptr()) };
        let result = match self.interrupts.call_host(call) {
            None | Some(STOP) => return Err(RuntimeError::new("stopped")),
            Some(result) => result,
        };
        Ok(if returns {
            vec![Value::I32(result as i32)]
        } else {
            Vec::new()
        })
    }
}

pub struct Run {
    store: Store,
    instance: Option<Instance>,
    pub budget: Arc<Budget>,
    interrupts: Arc<Interrupts>,
}

/// Ends what a store runs; from any thread.
pub struct Stopper {
    interrupts: Arc<Interrupts>,
    interrupter: Interrupter,
}

impl Stopper {
    pub fn interrupt(&self) {
        if self.interrupts.ask() {
            self.interrupter.interrupt();
        }
    }
}

impl Run {
    pub fn new(loaded: &Loaded, memory_limit: u64) -> (Self, Stopper) {
        let interrupts = Arc::new(Interrupts::default());
        let mut store = Store::new(loaded.engine.clone());
        store.set_trap_handler(Some(trap_handler(interrupts.clone())));
        let stopper = Stopper {
            interrupts: interrupts.clone(),
            interrupter: store.interrupter(),
        };
        let budget = Arc::new(Budget::new(memory_limit, loaded.exported_memory));
        (
            Self {
                store,
                instance: None,
                budget,
                interrupts,
            },
            stopper,
        )
    }

    pub fn instantiate(
        &mut self,
        loaded: &Loaded,
        call: Call,
        run: *mut c_void,
    ) -> Result<(), String> {
        let (budget, interrupts) = (self.budget.clone(), self.interrupts.clone());
        let callee = Callee {
            call,
            run,
            budget,
            interrupts,
        };
        let imports: Vec<Extern> = loaded
            .imports
            .iter()
            .map(|(index, ty)| {
                let (index, callee) = (*index, callee.clone());
                let returns = !ty.results().is_empty();
                let body = move |arguments: &[Value]| callee.call(index, arguments, returns);
                Extern::Function(Function::new(&mut self.store, ty, body))
            })
            .collect();
        let store = &mut self.store;
        let instance = self
            .budget
            .charge(|| Instance::new_by_index(store, &loaded.module, &imports))
            .map_err(|error| match error {
                InstantiationError::Start(error) => describe(&error),
                error => crate::module::one_line(error),
            })?;
        self.instance = Some(instance);
        Ok(())
    }

    /// None: there is no such function.
    pub fn start(&mut self) -> Option<Result<(), String>> {
        let start = self
            .instance
            .as_ref()?
            .exports
            .get_function("_start")
            .ok()?;
        let start = start.typed::<(), ()>(&self.store).ok()?;
        Some(
            start
                .call(&mut self.store)
                .map_err(|error| describe(&error)),
        )
    }
}

/// The engine's words and the first frames.
pub fn describe(error: &RuntimeError) -> String {
    let mut text = match error.clone().to_trap() {
        Some(code) => format!("wasm trap: {}", code.message()),
        None => crate::module::one_line(error.message()),
    };
    for (index, frame) in error.trace().iter().take(MAX_TRACE_FRAMES).enumerate() {
        text += if index == 0 { " at " } else { " < " };
        match frame.function_name() {
            Some(name) => text += name,
            None => text += &format!("function {}", frame.func_index()),
        }
    }
    text
}
