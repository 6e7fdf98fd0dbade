//! Multiplies two matrices with an exported kernel: on this thread, then on several by a parallel loop of its own.
//!
//! The declarations say in Rust what the header `matmul.h` says in C. It is built by `rustc` alone: the README has the
//! command.

use std::ffi::c_void;
use std::ptr::{null, null_mut};

type Body = extern "C" fn(context: *mut c_void, thread: u64, first: u64, end: u64);

#[repr(C)]
struct Parallel {
    run: extern "C" fn(*mut c_void, iterations: u64, threads: u64, Body, *mut c_void),
    user: *mut c_void,
    threads: u64,
}

#[link(name = "matmul", kind = "static")]
unsafe extern "C" {
    fn tw_matmul(
        a: *const f32,
        b: *const f32,
        c: *mut f32,
        workspace: *mut c_void,
        workspace_bytes: u64,
        parallel: *const Parallel,
    ) -> i32;
    fn tw_matmul_workspace_bytes(threads: u64) -> u64;
}

/// Of the sizes in the README: all three axes have this extent.
const EXTENT: usize = 256;
const THREADS: u64 = 2;

/// A pointer that other threads may use.
#[derive(Clone, Copy)]
struct Context(*mut c_void);

// SAFETY: the library says that its context may be used by several threads at once.
unsafe impl Send for Context {}

impl Context {
    fn pointer(self) -> *mut c_void {
        self.0
    }
}

/// One thread for each part. A program that calls often keeps its threads instead.
extern "C" fn parallel_for(
    _user: *mut c_void,
    iterations: u64,
    threads: u64,
    body: Body,
    context: *mut c_void,
) {
    let context = Context(context);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (first, end) = (iterations * thread / threads, iterations * (thread + 1) / threads);
            scope.spawn(move || body(context.pointer(), thread, first, end));
        }
    });
}

/// A cache line, to which a workspace is aligned.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; 64]);

fn multiply(
    (a, b, c): (&[f32], &[f32], &mut [f32]),
    workspace: &mut [Line],
    parallel: *const Parallel,
) -> i32 {
    assert!(a.len() == EXTENT * EXTENT && b.len() == EXTENT * EXTENT && c.len() == EXTENT * EXTENT);
    let bytes = size_of_val(workspace) as u64;
    let workspace = if bytes == 0 { null_mut() } else { workspace.as_mut_ptr().cast() };
    // SAFETY: the arrays have the sizes that the library was built for, and the borrows keep them apart.
    unsafe { tw_matmul(a.as_ptr(), b.as_ptr(), c.as_mut_ptr(), workspace, bytes, parallel) }
}

fn main() {
    let a: Vec<f32> = (0..EXTENT * EXTENT).map(|i| (i % 7) as f32).collect();
    let b: Vec<f32> = (0..EXTENT * EXTENT).map(|i| (i % 5) as f32).collect();
    let sum = |m: usize, n: usize| -> f32 {
        (0..EXTENT).map(|k| a[m * EXTENT + k] * b[k * EXTENT + n]).sum()
    };
    let expected: Vec<f32> = (0..EXTENT * EXTENT).map(|i| sum(i / EXTENT, i % EXTENT)).collect();

    let mut c = vec![0.0; EXTENT * EXTENT];
    let code = multiply((&a, &b, &mut c), &mut [], null());
    println!("alone: code {code}, all right: {}", c == expected);
    assert!(code == 0 && c == expected);

    c.fill(0.0);
    // SAFETY: the query has no conditions.
    let bytes = unsafe { tw_matmul_workspace_bytes(THREADS) };
    let mut workspace = vec![Line([0; 64]); bytes.div_ceil(64) as usize];
    let parallel = Parallel { run: parallel_for, user: null_mut(), threads: THREADS };
    let code = multiply((&a, &b, &mut c), &mut workspace, &parallel);
    println!("parallel: code {code}, all right: {}", c == expected);
    assert!(code == 0 && c == expected);
}
