//! The kernel's calls that the entry program needs, on both architectures, and what a program without a C library has to bring along.
//!
//! Numbers and registers are those of the kernel's own tables (`arch/x86/entry/syscalls/syscall_64.tbl`, `scripts/syscall.tbl`). A result
//! between -4095 and -1 is an error's number, negative.

use core::arch::{asm, global_asm};
use core::ffi::CStr;

/// An error's number.
pub(crate) type Errno = i32;

pub(crate) const ENOENT: Errno = 2;
pub(crate) const E2BIG: Errno = 7;
pub(crate) const ENOEXEC: Errno = 8;
pub(crate) const EACCES: Errno = 13;
pub(crate) const ENOTDIR: Errno = 20;
const EINTR: Errno = 4;

const AT_FDCWD: isize = -100;
const O_CLOEXEC: isize = 0o2_000_000;

#[cfg(target_arch = "x86_64")]
mod number {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const CLOSE: usize = 3;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const CLONE: usize = 56;
    pub const EXECVE: usize = 59;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const CLOCK_GETTIME: usize = 228;
    pub const EXIT_GROUP: usize = 231;
    pub const OPENAT: usize = 257;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub const OPENAT: usize = 56;
    pub const CLOSE: usize = 57;
    pub const READ: usize = 63;
    pub const WRITE: usize = 64;
    pub const EXIT_GROUP: usize = 94;
    pub const CLOCK_GETTIME: usize = 113;
    pub const KILL: usize = 129;
    pub const RT_SIGPROCMASK: usize = 135;
    pub const RT_SIGTIMEDWAIT: usize = 137;
    pub const CLONE: usize = 220;
    pub const EXECVE: usize = 221;
    pub const WAIT4: usize = 260;
}

// The kernel starts a program here, with everything it was given on the stack. The stack is aligned as calls want it.
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym crate::main,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "and x1, x0, #-16",
    "mov sp, x1",
    "bl {main}",
    "brk #1",
    main = sym crate::main,
);

/// One call of the kernel.
///
/// # Safety
/// The arguments must be what this call takes; whatever they point to must be there, and be ours to write to if the call writes.
unsafe fn call(number: usize, arguments: [isize; 4]) -> Result<usize, Errno> {
    let [a, b, c, d] = arguments;
    let result: isize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel changes the result's register and the two that it says it does; the rest is the caller's to answer for.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
            out("rcx") _, out("r11") _,
            options(nostack),
        );
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: the kernel changes the result's register alone; the rest is the caller's to answer for.
    unsafe {
        asm!(
            "svc #0",
            in("x8") number,
            inlateout("x0") a => result,
            in("x1") b, in("x2") c, in("x3") d,
            options(nostack),
        );
    }
    if result < 0 { Err(-result as Errno) } else { Ok(result as usize) }
}

/// The content of a file, into the beginning of `buffer`. How much it is; as long as the buffer when there may be more.
pub(crate) fn read(file: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the name ends with a NUL.
    let descriptor =
        unsafe { call(number::OPENAT, [AT_FDCWD, file.as_ptr() as isize, O_CLOEXEC, 0])? } as isize;
    let mut length = 0;
    let outcome = loop {
        let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) else { break Ok(length) };
        // SAFETY: the kernel writes no more than the rest of the buffer is long.
        match unsafe { call(number::READ, [descriptor, rest.as_mut_ptr() as isize, rest.len() as isize, 0]) }
        {
            Ok(0) => break Ok(length),
            Ok(more) => length += more,
            Err(EINTR) => {}
            Err(errno) => break Err(errno),
        }
    };
    // SAFETY: it was opened above. An error of it says nothing about what was read.
    let _ = unsafe { call(number::CLOSE, [descriptor, 0, 0, 0]) };
    outcome
}

/// To standard error, as far as it takes it: there is nobody else to complain to.
pub(crate) fn complain(parts: &[&[u8]]) {
    for part in parts {
        // SAFETY: the part is as long as it says.
        let _ = unsafe { call(number::WRITE, [2, part.as_ptr() as isize, part.len() as isize, 0]) };
    }
}

/// Becomes that program; comes back only with the reason why not.
///
/// # Safety
/// Both lists must end with a null pointer, and what they point to with a NUL.
pub(crate) unsafe fn become_program(
    program: &CStr,
    arguments: *const *const u8,
    environment: *const *const u8,
) -> Errno {
    let lists = [program.as_ptr() as isize, arguments as isize, environment as isize, 0];
    // SAFETY: as the caller promises.
    unsafe { call(number::EXECVE, lists) }.err().unwrap_or_default()
}

/// A set of signals, one bit each.
pub(crate) type Signals = u64;

/// All of them.
pub(crate) const ALL_SIGNALS: Signals = u64::MAX;

/// How large that is for the kernel.
const SIGNALS_SIZE: isize = 8;
const SIG_SETMASK: isize = 2;
const SIGCHLD: isize = 17;
const CLOCK_MONOTONIC: isize = 1;
const WNOHANG: isize = 1;

/// The kernel's measure of time.
#[repr(C)]
struct Time {
    seconds: i64,
    nanos: i64,
}

/// Holds these signals back from now on. Those that were held back before.
pub(crate) fn hold_back(signals: Signals) -> Signals {
    let mut former: Signals = 0;
    let sets = [(&raw const signals) as isize, (&raw mut former) as isize];
    // SAFETY: both sets are as large as is said. It cannot fail with sets that are there.
    let _ = unsafe { call(number::RT_SIGPROCMASK, [SIG_SETMASK, sets[0], sets[1], SIGNALS_SIZE]) };
    former
}

/// Becomes two: 0 in the new process, its number in the old one.
pub(crate) fn fork() -> Result<i32, Errno> {
    // SAFETY: without a stack of its own the new process has a copy of everything; there is one thread.
    unsafe { call(number::CLONE, [SIGCHLD, 0, 0, 0]) }.map(|process| process as i32)
}

/// The next signal that was held back; `None` when none came for so many milliseconds, or something else interrupted.
pub(crate) fn next_signal(within: Option<u64>) -> Option<i32> {
    let all = ALL_SIGNALS;
    let time = within
        .map(|millis| Time { seconds: (millis / 1000) as i64, nanos: (millis % 1000 * 1_000_000) as i64 });
    let time = time.as_ref().map_or(0, |time| (&raw const *time) as isize);
    // SAFETY: the set and the time are there, and nothing else is asked for.
    let came = unsafe { call(number::RT_SIGTIMEDWAIT, [(&raw const all) as isize, 0, time, SIGNALS_SIZE]) };
    came.ok().map(|signal| signal as i32)
}

/// Sends a signal. A process that has ended needs none.
pub(crate) fn send(process: i32, signal: i32) {
    // SAFETY: it takes two numbers.
    let _ = unsafe { call(number::KILL, [process as isize, signal as isize, 0, 0]) };
}

/// A child that has ended, with the kernel's word on how; `None` when there is no such child now.
pub(crate) fn ended_child() -> Option<(i32, i32)> {
    let mut word: i32 = 0;
    // SAFETY: the word is there to be written to.
    match unsafe { call(number::WAIT4, [-1, (&raw mut word) as isize, WNOHANG, 0]) } {
        Ok(0) | Err(_) => None,
        Ok(child) => Some((child as i32, word)),
    }
}

/// Milliseconds since some time in the past.
pub(crate) fn now() -> u64 {
    let mut time = Time { seconds: 0, nanos: 0 };
    // SAFETY: the time is there to be written to.
    let _ = unsafe { call(number::CLOCK_GETTIME, [CLOCK_MONOTONIC, (&raw mut time) as isize, 0, 0]) };
    time.seconds as u64 * 1000 + time.nanos as u64 / 1_000_000
}

/// Ends with this status.
pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: it takes a number and does not come back.
        let _ = unsafe { call(number::EXIT_GROUP, [status as isize, 0, 0, 0]) };
    }
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    complain(&[b"skep-entry: this is a mistake in Skep, please report it\n"]);
    exit(125)
}

// The compiler calls these by name, and they are usually the C library's.

/// # Safety
/// As C's: both are at least `length` long, and apart.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    for at in 0..length {
        // SAFETY: as the caller promises.
        unsafe { *to.add(at) = *from.add(at) };
    }
    to
}

/// # Safety
/// As C's: both are at least `length` long.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    for at in 0..length {
        // SAFETY: as the caller promises.
        let (a, b) = unsafe { (*one.add(at), *other.add(at)) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

/// # Safety
/// As C's: both are at least `length` long.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, length: usize) -> i32 {
    // SAFETY: as the caller promises.
    unsafe { memcmp(one, other, length) }
}

/// # Safety
/// As C's: the string ends with a NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(string: *const u8) -> usize {
    let mut length = 0;
    // SAFETY: as the caller promises.
    while unsafe { *string.add(length) } != 0 {
        length += 1;
    }
    length
}
