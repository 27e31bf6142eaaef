//! Memory that the kernel puts received bytes into, and the ring of entries that offers it.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

/// The kernel wants the entries to begin on a page.
const PAGE: usize = 4096;
/// Where the tail is: in the reserved field of the first entry.
const TAIL: usize = 14;
/// Bytes of an entry: address, length, number, reserved.
const ENTRY: usize = 16;

/// Received bytes, lent out by a ring. Dropping it instead of giving it back loses the buffer until
/// the ring ends.
#[derive(Debug)]
#[must_use = "a buffer that is not given back is lost to the ring"]
pub struct Buffer {
    id: u16,
    length: usize,
    /// The set of buffers it belongs to.
    home: u64,
}

impl Buffer {
    /// Bytes in it, at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }
}

/// The buffers of a ring.
#[derive(Debug)]
pub(super) struct Buffers {
    entries: NonNull<u8>,
    memory: NonNull<u8>,
    count: u16,
    size: u32,
    tail: u16,
    home: u64,
}

impl Buffers {
    /// # Errors
    /// `InvalidInput` if `count` is not a power of two up to 32768 or the sizes overflow.
    pub(super) fn new(count: u16, size: u32) -> io::Result<Self> {
        static HOMES: AtomicU64 = AtomicU64::new(0);
        let fits = count.is_power_of_two() && count <= 32768 && size > 0;
        let (entries, memory) = fits
            .then(|| Self::layouts(count, size))
            .flatten()
            .ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self {
            entries: allocate(entries),
            memory: allocate(memory),
            count,
            size,
            tail: 0,
            home: HOMES.fetch_add(1, Ordering::Relaxed),
        })
    }

    fn layouts(count: u16, size: u32) -> Option<(Layout, Layout)> {
        let bytes = usize::try_from(size).ok()?.checked_mul(count.into())?;
        let entries = Layout::from_size_align(usize::from(count) * ENTRY, PAGE).ok()?;
        // Aligned no more than malloc does, so that zeroed pages come untouched from the system.
        let memory = Layout::from_size_align(bytes, 16).ok()?;
        Some((entries, memory))
    }

    /// The address of the entries, for the kernel.
    pub(super) fn entries(&self) -> u64 {
        self.entries.as_ptr().expose_provenance() as u64
    }

    /// Offers all buffers to the kernel.
    pub(super) fn fill(&mut self) {
        for id in 0..self.count {
            self.offer(id);
        }
    }

    /// A buffer the kernel has filled. `None` for a number or length that cannot be.
    pub(super) fn lend(&self, id: u16, length: usize) -> Option<Buffer> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        (id < self.count && length <= size).then_some(Buffer {
            id,
            length,
            home: self.home,
        })
    }

    pub(super) fn bytes(&self, buffer: &Buffer) -> Option<&[u8]> {
        if buffer.home != self.home {
            return None;
        }
        // SAFETY: number and length were checked when it was lent, the memory was zeroed, and the
        // kernel writes to it only once it has been offered again, which takes the `Buffer`.
        Some(unsafe { std::slice::from_raw_parts(self.place(buffer.id).as_ptr(), buffer.length) })
    }

    pub(super) fn give_back(&mut self, buffer: Buffer) {
        if buffer.home == self.home {
            self.offer(buffer.id);
        }
    }

    fn place(&self, id: u16) -> NonNull<u8> {
        let size = usize::try_from(self.size).unwrap_or(usize::MAX);
        // SAFETY: callers pass numbers below `count`, so this stays inside the allocation.
        unsafe { self.memory.add(usize::from(id) * size) }
    }

    fn offer(&mut self, id: u16) {
        let index = usize::from(self.tail & (self.count - 1));
        let address = self.place(id).as_ptr().expose_provenance() as u64;
        // SAFETY: the index is below `count`, entries are 16 bytes and aligned, and the kernel reads
        // an entry only after the tail has passed it.
        unsafe {
            let entry = self.entries.add(index * ENTRY);
            entry.cast::<u64>().write(address);
            entry.add(8).cast::<u32>().write(self.size);
            entry.add(12).cast::<u16>().write(id);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: aligned, inside the first entry, and touched by atomic accesses only.
        let tail = unsafe { AtomicU16::from_ptr(self.entries.add(TAIL).cast().as_ptr()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        if let Some((entries, memory)) = Self::layouts(self.count, self.size) {
            // SAFETY: allocated with these layouts; the ring has seen to it that the kernel is done.
            unsafe {
                dealloc(self.entries.as_ptr(), entries);
                dealloc(self.memory.as_ptr(), memory);
            }
        }
    }
}

fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the layouts have a size above zero.
    NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
}
