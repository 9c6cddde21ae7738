//! Ending a guest from another thread.
//!
//! Wasmer's interrupt is a signal, whose handler leaves the guest's stack where it is. That is safe
//! in the guest's own code. It is not in Wasmer's code on that stack, which holds locks: on the way
//! back from a host function, and where it raises a trap (measured: 64 guests that call the host in
//! a loop ended the process in 14 of 20 runs). So
//!   - first a guest is asked to stop, which it sees before and after it calls a host function;
//!   - then it is signalled, and the signal counts only in the guest's code;
//!   - one that has been signalled many times and was always found outside, and not in a host
//!     function, does nothing but copy or fill memories and tables, which holds no locks: then a
//!     signal counts there, too. Only signals that arrived are counted: on a busy machine a thread
//!     can wait for long to run at all.

use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::Arc;
use std::sync::OnceLock;

use wasmer::sys::vm::TrapHandlerFn;

/// How many signals find a guest outside of its code before one counts there.
const PATIENCE: u32 = 20;

/// Whether a guest was asked to stop, and where its signals found it.
#[derive(Debug, Default)]
pub struct Interrupts {
    asked: AtomicBool,
    /// It is in a host function; only its thread changes it.
    in_host: AtomicBool,
    refused: AtomicU32,
}

impl Interrupts {
    /// Asks the guest to stop. Returns whether it was asked before.
    pub fn ask(&self) -> bool {
        self.asked.swap(true, Relaxed)
    }

    /// Runs a host function, unless the guest is to stop before or after it: None.
    pub fn call_host<R>(&self, function: impl FnOnce() -> R) -> Option<R> {
        if self.asked.load(Relaxed) {
            return None;
        }
        self.in_host.store(true, Relaxed);
        let result = function();
        self.in_host.store(false, Relaxed);
        (!self.asked.load(Relaxed)).then_some(result)
    }

    /// Whether a signal that finds the guest's thread in a library is to be ignored.
    fn refuse(&self) -> bool {
        self.in_host.load(Relaxed) || self.refused.fetch_add(1, Relaxed) < PATIENCE
    }
}

/// What Wasmer's handler of signals asks first: true ignores the signal.
pub fn trap_handler(interrupts: Arc<Interrupts>) -> Box<TrapHandlerFn<'static>> {
    code_of_libraries();
    Box::new(move |signal, _information, context| {
        // SAFETY: it is a handler's third argument.
        signal == libc::SIGUSR1
            && in_library(unsafe { program_counter(context) })
            && interrupts.refuse()
    })
}

unsafe fn program_counter(context: *const c_void) -> usize {
    let registers = unsafe { &(*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    return registers.gregs[libc::REG_RIP as usize] as usize;
    #[cfg(target_arch = "aarch64")]
    return registers.pc as usize;
}

fn in_library(address: usize) -> bool {
    code_of_libraries()
        .iter()
        .any(|range| range.contains(&address))
}

/// Where the program and its libraries lie; guests' code is elsewhere.
fn code_of_libraries() -> &'static [std::ops::Range<usize>] {
    static RANGES: OnceLock<Vec<std::ops::Range<usize>>> = OnceLock::new();
    RANGES.get_or_init(|| {
        let mut ranges = Vec::new();
        // SAFETY: `add` takes it for what it is.
        unsafe { libc::dl_iterate_phdr(Some(add), (&raw mut ranges).cast()) };
        ranges
    })
}

unsafe extern "C" fn add(info: *mut libc::dl_phdr_info, _: usize, ranges: *mut c_void) -> c_int {
    let ranges = unsafe { &mut *ranges.cast::<Vec<std::ops::Range<usize>>>() };
    let info = unsafe { &*info };
    for index in 0..usize::from(info.dlpi_phnum) {
        let header = unsafe { &*info.dlpi_phdr.add(index) };
        if header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0 {
            let start = (info.dlpi_addr + header.p_vaddr) as usize;
            ranges.push(start..start + header.p_memsz as usize);
        }
    }
    0
}
