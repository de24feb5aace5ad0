//! The heap of a program that lives for one command: what is small lies close together, and its pages can come in one go.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use dlmalloc::{Allocator, Dlmalloc};
use rustix::mm::{Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap, munmap};

/// As much as the heap asks the kernel for at least.
const STEP: usize = 64 * 1024;
const PAGE: usize = 4096;

/// The allocator of a program (`#[global_allocator]`): Doug Lea's. musl's has pages of its own for every size, and a short command
/// pays more for those than for all else that it does in user space.
pub struct Heap {
    taken: AtomicBool,
    inner: UnsafeCell<Dlmalloc<Pages>>,
}

// SAFETY: only who has set `taken` uses `inner`.
unsafe impl Sync for Heap {}

impl Heap {
    /// An empty heap.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it can only be a static")]
    pub const fn new() -> Self {
        let pages = Pages { first: AtomicPtr::new(ptr::null_mut()) };
        Self { taken: AtomicBool::new(false), inner: UnsafeCell::new(Dlmalloc::new_with_allocator(pages)) }
    }

    /// Has the kernel hand over at once what would otherwise come page by page, each with a fault: for a command that is going to use the
    /// heap's first 64 KiB. Does nothing before the first allocation, and before Linux 5.14.
    pub fn take_pages(&self) {
        let first = self.with(|heap| heap.allocator().first.load(Ordering::Relaxed));
        if !first.is_null() {
            // SAFETY: changes no contents. What is no longer mapped there, or no memory, is left as it is.
            let _ = unsafe { madvise(first.cast(), STEP, Advice::LinuxPopulateWrite) };
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Dlmalloc<Pages>) -> T) -> T {
        // These programs have one thread; with more, each holds this for a few hundred instructions.
        while self.taken.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            std::thread::yield_now();
        }
        // SAFETY: taken, so there is no other reference.
        let answer = act(unsafe { &mut *self.inner.get() });
        self.taken.store(false, Ordering::Release);
        answer
    }
}

// SAFETY: Dlmalloc keeps to this contract, and is never used by two at once.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's layout.
        self.with(|heap| unsafe { heap.malloc(layout.size(), layout.align()) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        self.with(|heap| unsafe { heap.calloc(layout.size(), layout.align()) })
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller had `at` from here, with this layout.
        self.with(|heap| unsafe { heap.free(at, layout.size(), layout.align()) });
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        self.with(|heap| unsafe { heap.realloc(at, layout.size(), layout.align(), size) })
    }
}

/// Where the heap's memory comes from: the kernel.
struct Pages {
    /// The first piece, at least `STEP` long.
    first: AtomicPtr<u8>,
}

// SAFETY: hands out fresh private mappings and gives back no others than it is told to.
unsafe impl Allocator for Pages {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping where the kernel likes.
        let Ok(at) = (unsafe { mmap_anonymous(ptr::null_mut(), size, access, MapFlags::PRIVATE) }) else {
            return (ptr::null_mut(), 0, 0);
        };
        let none = ptr::null_mut();
        let _ = self.first.compare_exchange(none, at.cast(), Ordering::Relaxed, Ordering::Relaxed);
        (at.cast(), size, 0)
    }

    fn remap(&self, at: *mut u8, old: usize, new: usize, may_move: bool) -> *mut u8 {
        let flags = if may_move { MremapFlags::MAYMOVE } else { MremapFlags::empty() };
        // SAFETY: a mapping from here, of that length, which only the heap knows.
        unsafe { mremap(at.cast(), old, new, flags) }.map_or(ptr::null_mut(), <*mut c_void>::cast)
    }

    fn free_part(&self, at: *mut u8, old: usize, new: usize) -> bool {
        // SAFETY: the end of a mapping from here, in which nothing lies any more.
        unsafe { munmap(at.wrapping_add(new).cast(), old - new) }.is_ok()
    }

    fn free(&self, at: *mut u8, size: usize) -> bool {
        // SAFETY: a mapping from here, in which nothing lies any more.
        unsafe { munmap(at.cast(), size) }.is_ok()
    }

    fn can_release_part(&self, _flags: u32) -> bool {
        true
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        PAGE
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::{GlobalAlloc, Layout};

    use super::Heap;

    /// Blocks of many sizes, in an order that mixes them, each filled with its own number and looked at before it goes.
    #[test]
    fn blocks_keep_what_is_written_to_them() {
        let heap = Heap::new();
        heap.take_pages();
        let mut blocks: Vec<(*mut u8, Layout, u8)> = Vec::new();
        let mut state = 1_u64;
        for round in 0..20_000_u32 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let number = round as u8;
            let size = 1 + (state >> 33) as usize % if round % 50 == 0 { 400_000 } else { 700 };
            let layout = Layout::from_size_align(size, 1 << ((state >> 60) % 7)).expect("a layout");
            if round % 100 == 0 {
                heap.take_pages();
            }
            if blocks.len() > 300 || round % 3 == 2 {
                let (at, old, filled) = blocks.swap_remove((state >> 20) as usize % blocks.len());
                // SAFETY: a live block of this heap, `old.size()` long.
                let seen = unsafe { std::slice::from_raw_parts(at, old.size()) };
                assert!(seen.iter().all(|byte| *byte == filled), "round {round}");
                // SAFETY: it is given back once.
                unsafe { heap.dealloc(at, old) };
                continue;
            }
            // SAFETY: the size is not zero.
            let mut at = unsafe { heap.alloc_zeroed(layout) };
            assert!(!at.is_null() && at.addr() % layout.align() == 0);
            // SAFETY: a live block of this heap, `size` long.
            assert!(unsafe { std::slice::from_raw_parts(at, size) }.iter().all(|byte| *byte == 0));
            let mut kept = layout;
            if round % 7 == 0 {
                // SAFETY: a live block of this heap with this layout.
                at = unsafe { heap.realloc(at, layout, size * 2) };
                kept = Layout::from_size_align(size * 2, layout.align()).expect("a layout");
            }
            // SAFETY: a live block, so long.
            unsafe { at.write_bytes(number, kept.size()) };
            blocks.push((at, kept, number));
        }
    }

    #[test]
    fn threads_take_turns() {
        static HEAP: Heap = Heap::new();
        std::thread::scope(|scope| {
            for number in 0..4_u8 {
                scope.spawn(move || {
                    for size in 1..2000 {
                        let layout = Layout::from_size_align(size, 8).expect("a layout");
                        // SAFETY: the size is not zero.
                        let at = unsafe { HEAP.alloc(layout) };
                        // SAFETY: a live block, so long.
                        unsafe { at.write_bytes(number, size) };
                        // SAFETY: as above.
                        let seen = unsafe { std::slice::from_raw_parts(at, size) };
                        assert!(seen.iter().all(|byte| *byte == number));
                        // SAFETY: it is given back once.
                        unsafe { HEAP.dealloc(at, layout) };
                    }
                });
            }
        });
    }
}
