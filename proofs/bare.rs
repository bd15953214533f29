//! The runtime of a program without the standard library: the entry point, the exit, the functions of C for memory,
//! and the panic handler.
//!
//! Both proofs include this file. With `#![no_builtins]` at their roots the compiler does not replace the loops below
//! by calls of the same functions.

use core::arch::asm;
use core::panic::PanicInfo;

/// The exit status of a proof that panicked. The other statuses of a proof are smaller.
const PANICKED: u8 = 101;

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {main}", "ud2", main = sym main);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start:", "mov x29, xzr", "bl {main}", "brk #1", main = sym main);

extern "C" fn main() -> ! {
    exit(crate::prove())
}

fn exit(status: u8) -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: `exit_group` takes a number and does not return.
    unsafe {
        asm!("syscall", in("rax") 231, in("rdi") u64::from(status), options(noreturn));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!("svc #0", in("x8") 94, in("x0") u64::from(status), options(noreturn));
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    exit(PANICKED)
}

/// # Safety
/// `n` bytes are valid at both pointers, and do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: the caller guarantees it.
        unsafe { *to.add(at) = *from.add(at) }
    }
    to
}

/// # Safety
/// As in C: `n` bytes at both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= n {
        // SAFETY: a copy in ascending order reads each byte before it is overwritten.
        return unsafe { memcpy(to, from, n) };
    }
    for at in (0..n).rev() {
        // SAFETY: the caller guarantees it.
        unsafe { *to.add(at) = *from.add(at) }
    }
    to
}

/// # Safety
/// `n` bytes are valid at `to`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, value: i32, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: the caller guarantees it.
        unsafe { *to.add(at) = value.to_le_bytes()[0] }
    }
    to
}

/// # Safety
/// As in C: `n` bytes at both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, n: usize) -> i32 {
    for at in 0..n {
        // SAFETY: the caller guarantees it.
        let (one, other) = unsafe { (*one.add(at), *other.add(at)) };
        if one != other {
            return i32::from(one) - i32::from(other);
        }
    }
    0
}

/// # Safety
/// As in C: `n` bytes at both.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, n: usize) -> i32 {
    // SAFETY: the caller guarantees it.
    unsafe { memcmp(one, other, n) }
}

/// The compiled `alloc` refers to the functions for unwinding. They are never called: a panic ends the program.
#[unsafe(no_mangle)]
pub extern "C" fn rust_eh_personality() {
    exit(PANICKED)
}

/// As above.
#[unsafe(no_mangle)]
pub extern "C" fn _Unwind_Resume() -> ! {
    exit(PANICKED)
}
