//! System calls for which no safe crate has a wrapper; the only unsafe code.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes written to a TCP socket that its peer's TCP has not acknowledged
/// (`SIOCOUTQ`, tcp(7)).
pub(super) fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open for the borrow's life, and the kernel
    // writes one c_int to the address, which is that of a live c_int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Has the C library keep memory that was freed, up to a bound: the buffers of one batch
/// serve the next. Otherwise their pages go back to the kernel after each batch and come
/// again as page faults, which costs a third of the time of a batch. Other C libraries
/// than GNU's have no such setting.
pub(super) fn keep_freed_memory() {
    /// Larger pieces, in bytes, have a mapping of their own and leave with it: more than
    /// the buffers of nearly all batches.
    #[cfg(target_env = "gnu")]
    const OWN_MAPPING: libc::c_int = 4 << 20;
    /// Free bytes at the end of the heap that may stay.
    #[cfg(target_env = "gnu")]
    const KEPT: libc::c_int = 16 << 20;
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two numbers of the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}
