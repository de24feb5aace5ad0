//! The file a running program came from: what `/proc/<pid>/exe` leads to, and how to let go of it without executing anything.

use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, Result};
use rustix::mm::{
    MapFlags, MprotectFlags, MremapFlags, ProtFlags, mmap, mmap_anonymous, mprotect, mremap_fixed,
};

use crate::process::last_errno;

const PAGE: usize = 4096;

/// Makes `/proc/self/exe` lead to `other`, which must be a regular file that may be executed. `own` is this program's file, opened
/// through another mount than the one it was executed from (`open_tree(2)` with `OPEN_TREE_CLONE`): the kernel changes the link only
/// when nothing is mapped from there any more, so every part of this program is mapped anew, from the same bytes.
///
/// After a failure the program runs on as before.
///
/// # Errors
/// `EPERM` without `CAP_SYS_RESOURCE` or `CAP_CHECKPOINT_RESTORE` (`prctl(2)`, `PR_SET_MM`), `EDEADLK` when this process has more
/// than one thread, and the kernel's.
pub fn leave(own: BorrowedFd<'_>, other: BorrowedFd<'_>) -> Result<()> {
    if !crate::process::is_single()? {
        return Err(Errno::DEADLK);
    }
    let headers = program_headers().ok_or(Errno::NOEXEC)?;
    let bias = load_bias(headers).ok_or(Errno::NOEXEC)?;
    let at = |address: u64| bias.wrapping_add(address as usize);
    let mut data = 0..0;
    for header in headers.iter().filter(|h| h.p_type == libc::PT_LOAD && h.p_filesz > 0) {
        let start = at(header.p_vaddr) & !(PAGE - 1);
        let end = at(header.p_vaddr + header.p_filesz).next_multiple_of(PAGE);
        if header.p_flags & libc::PF_W == 0 {
            map_again(own, start, end - start, header)?;
        } else if start == data.end {
            data.end = end;
        } else {
            move_to_memory(data)?;
            data = start..end;
        }
    }
    move_to_memory(data)?;
    for header in headers.iter().filter(|h| h.p_type == libc::PT_GNU_RELRO) {
        let (start, end) =
            (at(header.p_vaddr) & !(PAGE - 1), at(header.p_vaddr + header.p_memsz) & !(PAGE - 1));
        // SAFETY: the linker set these pages apart because nothing writes to them once the program has started.
        unsafe { mprotect(ptr::with_exposed_provenance_mut(start), end - start, MprotectFlags::READ) }?;
    }
    set_link(other)
}

/// The name that the linker gave to this very program, made from its bytes (`ld --build-id`): another build has another one.
#[must_use]
pub fn build_id() -> Option<&'static [u8]> {
    let headers = program_headers()?;
    let bias = load_bias(headers)?;
    headers.iter().filter(|header| header.p_type == libc::PT_NOTE).find_map(|header| {
        let start = ptr::with_exposed_provenance(bias.wrapping_add(header.p_vaddr as usize));
        // SAFETY: the program's headers say that so many bytes of notes lie there, in a part that is mapped until its end and that
        // nobody writes to.
        let notes = unsafe { std::slice::from_raw_parts(start, header.p_memsz as usize) };
        find_build_id(notes, header.p_align as usize)
    })
}

/// Among notes (elf(5)), each a head of three numbers, a name and a content.
fn find_build_id(mut notes: &[u8], align: usize) -> Option<&[u8]> {
    const BUILD_ID: u32 = 3;
    let align = align.max(4);
    loop {
        let (head, _) = notes.split_first_chunk::<12>()?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let name = 12..12 + number(0) as usize;
        let start = name.end.next_multiple_of(align);
        let content = start..start + number(4) as usize;
        if number(8) == BUILD_ID && notes.get(name)? == b"GNU\0" {
            return notes.get(content).filter(|id| !id.is_empty());
        }
        notes = notes.get(content.end.next_multiple_of(align)..)?;
    }
}

/// The program headers of this program, as the kernel handed them over (`getauxval(3)`).
fn program_headers() -> Option<&'static [libc::Elf64_Phdr]> {
    // SAFETY: reads what the kernel left on the stack; has no preconditions.
    let start = unsafe { libc::getauxval(libc::AT_PHDR) };
    // SAFETY: as above.
    let count = unsafe { libc::getauxval(libc::AT_PHNUM) };
    let start: *const libc::Elf64_Phdr = ptr::with_exposed_provenance(start as usize);
    // SAFETY: the kernel says that so many headers lie there, in a part of the program that is mapped until its end.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, count as usize) })
}

/// How far from its addresses in the file the program lies in memory.
fn load_bias(headers: &[libc::Elf64_Phdr]) -> Option<usize> {
    let own = headers.iter().find(|h| h.p_type == libc::PT_PHDR)?;
    Some((headers.as_ptr() as usize).wrapping_sub(own.p_vaddr as usize))
}

/// Code and constants: the same pages of the same file, through another mount.
fn map_again(own: BorrowedFd<'_>, start: usize, length: usize, header: &libc::Elf64_Phdr) -> Result<()> {
    let mut access = ProtFlags::READ;
    access.set(ProtFlags::EXEC, header.p_flags & libc::PF_X != 0);
    let offset = header.p_offset & !(PAGE as u64 - 1);
    // SAFETY: the range is this program's own and gets the same bytes with the same access in one step; what runs meanwhile runs on.
    unsafe {
        mmap(
            ptr::with_exposed_provenance_mut(start),
            length,
            access,
            MapFlags::PRIVATE | MapFlags::FIXED,
            own,
            offset,
        )
    }?;
    Ok(())
}

/// Data: a copy in memory takes its place.
fn move_to_memory(data: Range<usize>) -> Result<()> {
    let (start, length) = (data.start, data.len());
    if length == 0 {
        return Ok(());
    }
    let access = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: a new mapping where the kernel likes.
    let copy =
        unsafe { mmap_anonymous(ptr::null_mut(), length, access, MapFlags::PRIVATE | MapFlags::POPULATE) }?;
    let place = ptr::with_exposed_provenance_mut(start);
    // SAFETY: both ranges are mapped, that long, and apart. No other thread changes the original, and nothing does between this copy
    // and the next call, which has only registers to work with.
    unsafe { ptr::copy_nonoverlapping(place, copy, length) };
    // SAFETY: the range is this program's own and gets the same bytes in one step.
    unsafe { mremap_fixed(copy, length, length, MremapFlags::MAYMOVE, place) }?;
    Ok(())
}

fn set_link(other: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: takes a number and a descriptor.
    let done = unsafe {
        libc::prctl(
            libc::PR_SET_MM,
            libc::PR_SET_MM_EXE_FILE as libc::c_ulong,
            other.as_raw_fd() as libc::c_ulong,
            0,
            0,
        )
    };
    match done {
        0 => Ok(()),
        _ if last_errno() == Errno::PERM => set_map(other),
        _ => Err(last_errno()),
    }
}

/// The kernel's `struct prctl_mm_map`.
#[repr(C)]
#[derive(Default)]
struct MemoryMap {
    start_code: u64,
    end_code: u64,
    start_data: u64,
    end_data: u64,
    start_brk: u64,
    brk: u64,
    start_stack: u64,
    arg_start: u64,
    arg_end: u64,
    env_start: u64,
    env_end: u64,
    auxv: u64,
    auxv_size: u32,
    exe_fd: u32,
}

/// The same for those who have the right to restore processes only: all that is known of the memory is said again as it is.
fn set_map(other: BorrowedFd<'_>) -> Result<()> {
    let mut text = [0; 1024];
    let stat = rustix::fs::open("/proc/self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let length = rustix::io::read(stat, &mut text)?;
    let stat = std::str::from_utf8(&text[..length]).map_err(|_| Errno::NOSYS)?;
    // Numbered as in proc_pid_stat(5); what follows the name begins with field 3.
    let fields: Vec<&str> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let field =
        |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok()).ok_or(Errno::NOSYS);
    // SAFETY: moves nothing by zero bytes; answers where the heap ends.
    let brk = unsafe { libc::sbrk(0) } as u64;
    let map = MemoryMap {
        start_code: field(26)?,
        end_code: field(27)?,
        start_stack: field(28)?,
        start_data: field(45)?,
        end_data: field(46)?,
        start_brk: field(47)?,
        brk,
        arg_start: field(48)?,
        arg_end: field(49)?,
        env_start: field(50)?,
        env_end: field(51)?,
        exe_fd: other.as_raw_fd() as u32,
        ..MemoryMap::default()
    };
    // SAFETY: the structure has the kernel's layout and outlives the call; what it says is what the kernel said.
    let done = unsafe {
        libc::prctl(
            libc::PR_SET_MM,
            libc::PR_SET_MM_MAP as libc::c_ulong,
            &raw const map,
            size_of::<MemoryMap>() as libc::c_ulong,
            0,
        )
    };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}
