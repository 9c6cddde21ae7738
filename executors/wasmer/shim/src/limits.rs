//! What one instance may hold. An engine's tunables are asked for each memory and table; whose they
//! are is known by the thread, since an instance is made on one.

use std::cell::RefCell;
use std::ptr::{null_mut, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::Arc;

use wasmer::sys::vm::{
    LinearMemory, MemoryError, MemoryStyle, TableStyle, VMConfig, VMMemory, VMMemoryDefinition,
    VMTable, VMTableDefinition,
};
use wasmer::sys::{BaseTunables, Tunables};
use wasmer::{MemoryType, Pages, TableType, WASM_PAGE_SIZE};

/// Of all tables of an instance together.
pub const TABLE_ELEMENTS: u32 = 1 << 18;

/// Of one store.
#[derive(Debug)]
pub struct Budget {
    memory_limit: u64,
    memory_used: AtomicU64,
    refused: AtomicBool,
    memories: AtomicU32,
    /// Which of the module's memories is exported as "memory".
    exported: Option<u32>,
    definition: AtomicPtr<VMMemoryDefinition>,
}

impl Budget {
    pub fn new(memory_limit: u64, exported: Option<u32>) -> Self {
        Self {
            memory_limit,
            memory_used: AtomicU64::new(0),
            refused: AtomicBool::new(false),
            memories: AtomicU32::new(0),
            exported,
            definition: AtomicPtr::new(null_mut()),
        }
    }

    /// Makes it the budget of what this thread instantiates while `body` runs.
    pub fn charge<R>(self: &Arc<Self>, body: impl FnOnce() -> R) -> R {
        CURRENT.with_borrow_mut(|current| *current = Some(self.clone()));
        let result = body();
        CURRENT.with_borrow_mut(|current| *current = None);
        result
    }

    pub fn used(&self) -> u64 {
        self.memory_used.load(Relaxed)
    }

    pub fn refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// The exported memory, as it is now; only on the thread of the guest.
    pub fn memory(&self) -> (*mut u8, u64) {
        match NonNull::new(self.definition.load(Relaxed)) {
            // SAFETY: it lies in the instance, which lives while its guest runs.
            Some(definition) => unsafe {
                (
                    definition.as_ref().base,
                    definition.as_ref().current_length as u64,
                )
            },
            None => (null_mut(), 0),
        }
    }

    fn take(&self, bytes: u64) -> bool {
        let used = self.used() + bytes;
        if used > self.memory_limit {
            self.refused.store(true, Relaxed);
            return false;
        }
        self.memory_used.store(used, Relaxed);
        true
    }

    fn give_back(&self, bytes: u64) {
        self.memory_used.store(self.used() - bytes, Relaxed);
    }
}

thread_local! {
    static CURRENT: RefCell<Option<Arc<Budget>>> = const { RefCell::new(None) };
}

fn current() -> Option<Arc<Budget>> {
    CURRENT.with_borrow(Clone::clone)
}

fn bytes(pages: Pages) -> u64 {
    u64::from(pages.0) * WASM_PAGE_SIZE as u64
}

/// A memory that grows within a budget.
#[derive(Debug)]
struct BoundedMemory {
    inner: VMMemory,
    budget: Arc<Budget>,
}

impl LinearMemory for BoundedMemory {
    fn ty(&self) -> MemoryType {
        self.inner.ty()
    }

    fn size(&self) -> Pages {
        self.inner.size()
    }

    fn style(&self) -> MemoryStyle {
        self.inner.style()
    }

    fn grow(&mut self, delta: Pages) -> Result<Pages, MemoryError> {
        if !self.budget.take(bytes(delta)) {
            return Err(MemoryError::CouldNotGrow {
                current: self.size(),
                attempted_delta: delta,
            });
        }
        let grown = self.inner.grow(delta);
        if grown.is_err() {
            self.budget.give_back(bytes(delta));
        }
        grown
    }

    fn vmmemory(&self) -> NonNull<VMMemoryDefinition> {
        self.inner.vmmemory()
    }

    fn try_clone(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::MemoryNotShared)
    }

    fn copy(&self) -> Result<Box<dyn LinearMemory + Send + Sync + 'static>, MemoryError> {
        Err(MemoryError::UnsupportedOperation {
            message: "a memory is not copied".into(),
        })
    }
}

/// Of an engine that runs one module.
pub struct Limits {
    base: BaseTunables,
    /// How many tables the module has, between which an instance's elements are divided.
    tables: Arc<AtomicU32>,
}

impl Limits {
    pub fn new(tables: Arc<AtomicU32>) -> Self {
        Self {
            base: BaseTunables::new(),
            tables,
        }
    }
}

impl Tunables for Limits {
    fn memory_style(&self, memory: &MemoryType) -> MemoryStyle {
        self.base.memory_style(memory)
    }

    fn table_style(&self, table: &TableType) -> TableStyle {
        self.base.table_style(table)
    }

    fn create_host_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
    ) -> Result<VMMemory, MemoryError> {
        self.base.create_host_memory(ty, style)
    }

    unsafe fn create_vm_memory(
        &self,
        ty: &MemoryType,
        style: &MemoryStyle,
        location: NonNull<VMMemoryDefinition>,
    ) -> Result<VMMemory, MemoryError> {
        let Some(budget) = current() else {
            return unsafe { self.base.create_vm_memory(ty, style, location) };
        };
        if !budget.take(bytes(ty.minimum)) {
            return Err(MemoryError::Generic(
                "the memory limit is too small for it".into(),
            ));
        }
        let inner = unsafe { self.base.create_vm_memory(ty, style, location)? };
        let index = budget.memories.fetch_add(1, Relaxed);
        if budget.exported == Some(index) {
            budget.definition.store(location.as_ptr(), Relaxed);
        }
        Ok(VMMemory(Box::new(BoundedMemory { inner, budget })))
    }

    fn create_host_table(&self, ty: &TableType, style: &TableStyle) -> Result<VMTable, String> {
        self.base.create_host_table(ty, style)
    }

    unsafe fn create_vm_table(
        &self,
        ty: &TableType,
        style: &TableStyle,
        location: NonNull<VMTableDefinition>,
    ) -> Result<VMTable, String> {
        let mut bounded = *ty;
        if let Some(budget) = current() {
            let most = TABLE_ELEMENTS / self.tables.load(Relaxed).max(1);
            if ty.minimum > most {
                budget.refused.store(true, Relaxed);
                return Err(format!(
                    "a table of {} elements; {most} are allowed",
                    ty.minimum
                ));
            }
            bounded.maximum = Some(ty.maximum.map_or(most, |maximum| maximum.min(most)));
        }
        unsafe { self.base.create_vm_table(&bounded, style, location) }
    }

    fn vmconfig(&self) -> &VMConfig {
        self.base.vmconfig()
    }
}
