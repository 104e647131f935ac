//! System calls for which no safe crate has a wrapper; the only unsafe code.
#![allow(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::ssl::{SslContextBuilder, SslContextRef};
use openssl::x509::{X509, X509StoreContextRef};
use openssl_sys::{SSL_CTX, X509_STORE_CTX, X509_up_ref};

/// Number of bytes written to a TCP socket that the peer's TCP has not acknowledged
/// (`SIOCOUTQ`, tcp(7)).
pub(crate) fn unacknowledged(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open for the borrow's life, and the kernel
    // writes one c_int to the address, which is that of a live c_int.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Makes the kernel report through an error event of a TCP socket that the peer has
/// acknowledged all of a write (`SO_TIMESTAMPING` with `SOF_TIMESTAMPING_TX_ACK`). The
/// messages for these events remain in the error queue; see [`take_acknowledgments`].
pub(crate) fn tell_acknowledgments(socket: BorrowedFd<'_>) -> io::Result<()> {
    // Without the bytes themselves, which would count as received.
    let flags: libc::c_uint = libc::SOF_TIMESTAMPING_TX_ACK
        | libc::SOF_TIMESTAMPING_SOFTWARE
        | libc::SOF_TIMESTAMPING_OPT_ID
        | libc::SOF_TIMESTAMPING_OPT_TSONLY;
    let size = libc::socklen_t::try_from(size_of_val(&flags)).map_err(io::Error::other)?;
    // SAFETY: the descriptor is open for the borrow's life, and the kernel reads one c_uint
    // from the address, which is that of a live c_uint.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_TIMESTAMPING,
            (&raw const flags).cast(),
            size,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Empties the error queue of a socket; returns whether it contained anything.
pub(crate) fn take_acknowledgments(socket: BorrowedFd<'_>) -> bool {
    let socket = socket2::SockRef::from(&socket);
    let mut taken = false;
    while socket.recv_with_flags(&mut [], libc::MSG_ERRQUEUE).is_ok() {
        taken = true;
    }
    taken
}

/// Makes the C library keep freed memory, up to a limit, so that the buffers of one batch
/// serve the next. Otherwise their pages are returned to the kernel after each batch and
/// cause page faults in the next, which costs a third of the time for a batch. Only glibc
/// has this setting.
pub(crate) fn keep_freed_memory() {
    /// Larger pieces, in bytes, have a mapping of their own and leave with it: more than
    /// the buffers of nearly all batches.
    #[cfg(target_env = "gnu")]
    const OWN_MAPPING: libc::c_int = 4 << 20;
    /// Number of free bytes at the end of the heap that may remain.
    #[cfg(target_env = "gnu")]
    const KEPT: libc::c_int = 16 << 20;
    #[cfg(target_env = "gnu")]
    // SAFETY: sets two numbers of the allocator, under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING);
        libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
    }
}

/// Whether the kernel considers its clock synchronized (adjtimex(2), `TIME_ERROR`).
pub(crate) fn is_clock_synchronised() -> io::Result<bool> {
    // SAFETY: all fields of timex are integers, for which zeros are values; with modes 0
    // the kernel changes nothing, and it writes to the address of a live timex only.
    let state = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut timex)
    };
    match state {
        -1 => Err(io::Error::last_os_error()),
        state => Ok(state != libc::TIME_ERROR),
    }
}

/// The host name of an address (getnameinfo(3)); `None` if it has none.
pub(crate) fn name_of(address: SocketAddr) -> Option<String> {
    /// `NI_MAXHOST` of the C library.
    const LONGEST: libc::socklen_t = 1025;
    let address = socket2::SockAddr::from(address);
    let mut name = vec![0_u8; usize::try_from(LONGEST).ok()?];
    // SAFETY: both addresses are those of live buffers of the lengths beside them, and the
    // name is written within its buffer, with a zero at its end.
    let failed = unsafe {
        libc::getnameinfo(
            address.as_ptr().cast(),
            address.len(),
            name.as_mut_ptr().cast(),
            LONGEST,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    if failed != 0 {
        return None;
    }
    let name = std::ffi::CStr::from_bytes_until_nul(&name).ok()?;
    Some(name.to_string_lossy().into_owned())
}

/// Judges the certificates that peers present in a handshake.
pub(crate) trait Judge {
    /// Whether the handshake goes on with that certificate; if not, the context has the
    /// error, which becomes the alert. [`X509StoreContextRef::verify_cert`] is OpenSSL's own
    /// judgment.
    fn judge(context: &mut X509StoreContextRef, shown: &X509) -> bool;
}

/// Installs a [`Judge`] in place of OpenSSL's own verification
/// (`SSL_CTX_set_cert_verify_callback(3)`).
pub(crate) fn judge_by<J: Judge>(builder: &mut SslContextBuilder) {
    // SAFETY: the builder's context is live; the callback has the type that OpenSSL asks
    // for, lives as long as the program, and does not use its argument.
    unsafe {
        SSL_CTX_set_cert_verify_callback(builder.as_ptr(), raw_judge::<J>, std::ptr::null_mut());
    }
}

extern "C" fn raw_judge<J: Judge>(
    context: *mut X509_STORE_CTX,
    _: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: OpenSSL lends the context for the time of the call, to nobody else. The
    // certificate belongs to it; one more reference keeps it as long as the `X509` lives.
    let shown = unsafe {
        let shown = X509_STORE_CTX_get0_cert(context);
        if shown.is_null() {
            return 0;
        }
        X509_up_ref(shown);
        X509::from_ptr(shown)
    };
    // SAFETY: as above.
    let context = unsafe { X509StoreContextRef::from_ptr_mut(context) };
    libc::c_int::from(J::judge(context, &shown))
}

/// Removes all sessions of a context, so that none can be resumed.
pub(crate) fn forget_sessions(context: &SslContextRef) {
    // SAFETY: the context is live, and has a lock of its own for its sessions. A time of 0
    // means all of them.
    unsafe { SSL_CTX_flush_sessions(context.as_ptr(), 0) };
}

// What the crate openssl-sys leaves out of libssl and libcrypto.
unsafe extern "C" {
    fn SSL_CTX_flush_sessions(context: *mut SSL_CTX, time: libc::c_long);
    fn SSL_CTX_set_cert_verify_callback(
        context: *mut SSL_CTX,
        callback: extern "C" fn(*mut X509_STORE_CTX, *mut libc::c_void) -> libc::c_int,
        argument: *mut libc::c_void,
    );
    fn X509_STORE_CTX_get0_cert(context: *const X509_STORE_CTX) -> *mut openssl_sys::X509;
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test may panic and has sockets"
)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use mio::{Events, Interest, Poll, Token};

    use super::*;

    #[test]
    fn an_event_tells_what_the_peer_has_acknowledged() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let ours = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut theirs, _) = listener.accept().unwrap();
        ours.set_nonblocking(true).unwrap();
        let mut ours = mio::net::TcpStream::from_std(ours);
        let mut poll = Poll::new().unwrap();
        let interest = Interest::READABLE;
        poll.registry()
            .register(&mut ours, Token(0), interest)
            .unwrap();
        tell_acknowledgments(ours.as_fd()).unwrap();
        assert!(!take_acknowledgments(ours.as_fd()));
        for _ in 0..3 {
            ours.write_all(b"some bytes").unwrap();
            theirs.read_exact(&mut [0; 10]).unwrap();
            let mut events = Events::with_capacity(4);
            let mut told = false;
            for _ in 0..100 {
                poll.poll(&mut events, Some(Duration::from_millis(100)))
                    .unwrap();
                told = events.iter().any(mio::event::Event::is_error);
                if told {
                    break;
                }
            }
            assert!(told && take_acknowledgments(ours.as_fd()));
            assert_eq!(unacknowledged(ours.as_fd()).unwrap(), 0);
            assert!(ours.take_error().unwrap().is_none());
            assert!(!take_acknowledgments(ours.as_fd()));
        }
    }
}
