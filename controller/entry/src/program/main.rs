//! `/.skep/entry [--drain=SIGNAL:MILLISECONDS] NAME=FILE … -- PROGRAM ARGUMENT…`: sets each variable to the content of its file and becomes
//! the program; or, with `--drain`, starts it and stays, to pass signals on ([`drain`]).
//! `/.skep/entry --listens=PORT` says by its status whether the container can be reached there ([`listens`]).
//!
//! Inputs: its arguments, its environment, the files. It writes nothing but complaints, which name variables and files and never a
//! value. It has no heap: values are read to where the new environment needs them, in memory that it has from its start. That is
//! the kernel's again the moment the program takes its place, or overwritten once the program has been started.

#![no_std]
#![no_main]
// Otherwise the compiler would make `memcpy` of the loop that is `memcpy`.
#![no_builtins]

mod drain;
mod kernel;
mod launch;
mod listens;
mod stay;

use core::ffi::CStr;

use drain::Drain;
use kernel::{E2BIG, EACCES, ENOENT, ENOEXEC, ENOTDIR, Errno};
use listens::Listening;

/// It could not do its own part: as `docker run`.
const STATUS_OWN: i32 = 125;
/// The program cannot be run: as shells.
const STATUS_NOT_RUN: i32 = 126;
/// There is no such program: as shells.
const STATUS_NOT_FOUND: i32 = 127;

/// What the new environment has room for: the kernel passes on no more than 6 MiB in all, and rarely more than 2.
const ROOM: usize = 6 << 20;
/// As many variables; images have some tens.
const VARIABLES_MAX: usize = 4096;

static mut STRINGS: [u8; ROOM] = [0; ROOM];
static mut ENVIRONMENT: [*const u8; VARIABLES_MAX] = [core::ptr::null(); VARIABLES_MAX];

/// Called once, by what the kernel starts.
///
/// # Safety
/// `stack` is what the kernel has put there for a new program: the number of arguments, the arguments, a null pointer, the environment,
/// a null pointer; all strings end with a NUL.
unsafe extern "C" fn main(stack: *const usize) -> ! {
    // SAFETY: as the caller promises.
    let (arguments, inherited) = unsafe { (stack.add(1).cast(), stack.add(2 + *stack).cast()) };
    // SAFETY: nobody else has them, because this is called once and there is one thread.
    let (strings, environment) = unsafe { (&mut *(&raw mut STRINGS), &mut *(&raw mut ENVIRONMENT)) };
    // SAFETY: the list ends with a null pointer, and a program has its own name at least.
    if let Some(port) = unsafe { string(arguments, 1) }.and_then(|first| listens::port(first.to_bytes())) {
        kernel::exit(listen(port, strings));
    }
    // SAFETY: both lists end with a null pointer.
    let launch = unsafe { Launch::read(arguments, inherited, strings, environment) };
    let status = match launch {
        Ok(launch) => match launch.drain {
            Some(drain) => stay::with(drain, launch),
            None => launch.start(),
        },
        Err(status) => status,
    };
    kernel::exit(status)
}

/// All that the program is started with.
struct Launch<'a> {
    /// The program's name, and behind it its arguments.
    arguments: *const *const u8,
    /// Ends with a null pointer.
    environment: &'a [*const u8],
    /// Room for names of files.
    spare: &'a mut [u8],
    /// Stay as the first process, and pass signals on like this.
    drain: Option<Drain>,
    /// How many of the variables are of files; these come first.
    own: usize,
}

impl<'a> Launch<'a> {
    /// Reads the files. The status to end with, if that does not work.
    ///
    /// # Safety
    /// Both lists end with a null pointer, and what they point to with a NUL.
    unsafe fn read(
        arguments: *const *const u8,
        inherited: *const *const u8,
        mut strings: &'a mut [u8],
        environment: &'a mut [*const u8],
    ) -> Result<Self, i32> {
        let mut set = 0;
        let mut at = 1;
        // SAFETY: a program has its own name at least, so the list has not ended before this place.
        let drain = unsafe { string(arguments, at) }.and_then(|first| Drain::of(first.to_bytes()));
        at += usize::from(drain.is_some());
        loop {
            // SAFETY: the list has not ended yet.
            let Some(argument) = (unsafe { string(arguments, at) }) else { return Err(usage()) };
            at += 1;
            if argument.to_bytes() == launch::END {
                break;
            }
            let (variable, rest) = read_variable(argument, strings)?;
            strings = rest;
            put(environment, &mut set, variable)?;
        }
        // SAFETY: the list has not ended before this place.
        if unsafe { string(arguments, at) }.is_none() {
            return Err(usage());
        }
        let own = set;
        let mut from = 0;
        // SAFETY: the list is read up to its end.
        while let Some(entry) = unsafe { string(inherited, from) } {
            from += 1;
            let is_ours = |variable: &*const u8| {
                // SAFETY: these were made above, and end with a NUL.
                let variable = unsafe { CStr::from_ptr(variable.cast()) }.to_bytes();
                launch::end_of_name(variable)
                    .and_then(|end| variable.get(..end))
                    .is_some_and(|name| launch::is_variable(entry.to_bytes(), name))
            };
            if !environment.iter().take(own).any(is_ours) {
                put(environment, &mut set, entry.as_ptr().cast())?;
            }
        }
        put(environment, &mut set, core::ptr::null())?;
        // SAFETY: the list has not ended before this place.
        Ok(Self { arguments: unsafe { arguments.add(at) }, environment, spare: strings, drain, own })
    }

    /// Overwrites what was read: only the program needs it. Nothing is started from here afterwards.
    fn forget(&mut self) {
        let own = self.environment.iter().take(self.own);
        for variable in own {
            let mut at: *mut u8 = variable.cast_mut();
            // SAFETY: these were made by `read` in memory that nobody else has, and end with a NUL.
            unsafe {
                while *at != 0 {
                    at.write_volatile(0);
                    at = at.add(1);
                }
            }
        }
    }

    /// Becomes the program. The status to end with, if that does not work.
    fn start(mut self) -> i32 {
        // SAFETY: there is a program, which `read` has made sure of.
        let Some(program) = (unsafe { string(self.arguments, 0) }) else { return usage() };
        let mut why = ENOENT;
        if program.to_bytes().contains(&b'/') {
            why = self.attempt(program);
        } else {
            for directory in launch::directories(program.to_bytes(), self.path()) {
                match self.attempt_in(directory, program) {
                    ENOENT | ENOTDIR => {}
                    EACCES => why = EACCES,
                    other => {
                        why = other;
                        break;
                    }
                }
            }
        }
        kernel::complain(&[b"skep-entry: cannot run ", program.to_bytes(), b": ", words(why), b"\n"]);
        if why == ENOENT { STATUS_NOT_FOUND } else { STATUS_NOT_RUN }
    }

    /// Where programs are looked for.
    fn path(&self) -> &'static [u8] {
        // SAFETY: the entries end with a NUL, and stay as long as this program does.
        let entries = self.environment.iter().take_while(|entry| !entry.is_null());
        let entries = entries.map(|entry| unsafe { CStr::from_ptr(entry.cast()) }.to_bytes());
        let path = entries.filter(|entry| launch::is_variable(entry, b"PATH")).next();
        path.and_then(|entry| entry.get(b"PATH=".len()..)).unwrap_or(launch::DEFAULT_PATH)
    }

    fn attempt_in(&mut self, directory: &[u8], program: &CStr) -> Errno {
        let mut length = 0;
        for part in [directory, b"/", program.to_bytes_with_nul()] {
            let Some(place) = self.spare.get_mut(length..length + part.len()) else { return E2BIG };
            place.copy_from_slice(part);
            length += part.len();
        }
        match self.spare.get(..length).map(CStr::from_bytes_with_nul) {
            Some(Ok(file)) => self.attempt(file),
            Some(Err(_)) | None => ENOENT,
        }
    }

    fn attempt(&self, file: &CStr) -> Errno {
        // SAFETY: the arguments are the kernel's own list, and `read` has closed the environment with a null pointer.
        unsafe { kernel::become_program(file, self.arguments, self.environment.as_ptr()) }
    }
}

/// Does anything listen on that port? The status to end with.
fn listen(port: &[u8], room: &mut [u8]) -> i32 {
    let Some(number) = listens::number(port) else { return usage() };
    let by = |file: &CStr, room: &mut [u8]| {
        // Where there is no IPv6 there is no such table.
        let read = kernel::read(file, room).unwrap_or_default();
        listens::by(room.get(..read).unwrap_or_default(), number)
    };
    let found = by(c"/proc/net/tcp", room).max(by(c"/proc/net/tcp6", room));
    let why: &[u8] = match found {
        Listening::Outside => return 0,
        Listening::Inside => b" is listened on for the container itself alone: listen on 0.0.0.0\n",
        Listening::Nowhere => b" is not listened on\n",
    };
    kernel::complain(&[b"port ", port, why]);
    1
}

/// `NAME=FILE` becomes `NAME=` and the file's content, at the beginning of `strings`, and what is left of them.
fn read_variable<'a>(argument: &CStr, strings: &'a mut [u8]) -> Result<(*const u8, &'a mut [u8]), i32> {
    let Some(end) = launch::end_of_name(argument.to_bytes()) else { return Err(usage()) };
    let (name, file) = argument.to_bytes_with_nul().split_at(end);
    let complain = |why: &[u8]| {
        let file = file.get(1..file.len() - 1).unwrap_or_default();
        kernel::complain(&[b"skep-entry: cannot set ", name, b" from ", file, b": ", why, b"\n"]);
        STATUS_OWN
    };
    let file = file.get(1..).map(CStr::from_bytes_with_nul);
    let Some(Ok(file)) = file else { return Err(usage()) };
    let most = launch::STRING_MAX.min(strings.len());
    let Some((room, _)) = strings.split_at_mut_checked(most) else { return Err(complain(words(E2BIG))) };
    let Some((place, room)) = room.split_at_mut_checked(end + 1) else { return Err(complain(words(E2BIG))) };
    place.copy_from_slice(argument.to_bytes().get(..=end).unwrap_or_default());
    let read = kernel::read(file, room).map_err(|errno| complain(words(errno)))?;
    let content = room.get(..read).unwrap_or_default();
    let Some(length) = launch::length_of_value(content) else {
        return Err(complain(b"there is a NUL in it"));
    };
    // A full buffer may not be all of it, and leaves no place for the closing NUL.
    match room.get_mut(length) {
        Some(after) if read < most - end - 1 => *after = 0,
        _ => return Err(complain(b"it is longer than a variable can be; have the program read the file")),
    }
    let (variable, rest) = strings.split_at_mut(end + 1 + length + 1);
    Ok((variable.as_ptr(), rest))
}

fn put(environment: &mut [*const u8], set: &mut usize, entry: *const u8) -> Result<(), i32> {
    let Some(place) = environment.get_mut(*set) else {
        kernel::complain(&[b"skep-entry: the environment has too many variables\n"]);
        return Err(STATUS_OWN);
    };
    *place = entry;
    *set += 1;
    Ok(())
}

/// One string of a list; `None` at its end.
///
/// # Safety
/// The list ends with a null pointer and not before this place; its strings end with a NUL and stay as they are.
unsafe fn string(list: *const *const u8, at: usize) -> Option<&'static CStr> {
    // SAFETY: as the caller promises.
    let entry = unsafe { *list.add(at) };
    // SAFETY: it is not null, so it is a string.
    (!entry.is_null()).then(|| unsafe { CStr::from_ptr(entry.cast()) })
}

fn usage() -> i32 {
    kernel::complain(&[
        b"usage: skep-entry [--drain=SIGNAL:MILLISECONDS] NAME=FILE ... -- PROGRAM ARGUMENT ...\n",
    ]);
    STATUS_OWN
}

/// What an error means here.
fn words(errno: Errno) -> &'static [u8] {
    match errno {
        ENOENT => b"it is not there",
        EACCES => b"the container's user may not",
        ENOEXEC => b"it is not a program for this machine",
        ENOTDIR => b"part of its path is not a directory",
        E2BIG => b"arguments and variables are too long together",
        _ => b"the kernel refuses it",
    }
}
