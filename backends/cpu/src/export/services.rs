//! What exported code asks of processor and kernel, in a few instructions of each architecture: whether the processor
//! has what the code uses, pages of memory and their return, and the address of a function.
//!
//! They follow the C calling convention, so that Cranelift's code calls them. Invariant: nothing here needs a library.

use super::features::{self, Word};
use super::machine::{Arch, Machine};
use crate::wide::{Isa, permission};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ebx, ecx, edi, edx, esi, r8, rbx};

/// Bytes between the head of `own_address` and the function that follows it.
pub(super) const ADDRESS_BYTES: usize = 16;

/// `uint8_t *(void)`: the address of the function that begins `ADDRESS_BYTES` behind the head of this one.
pub(super) fn own_address(arch: Arch) -> [u8; ADDRESS_BYTES] {
    let mut bytes = [0; ADDRESS_BYTES];
    let code: &[u8] = match arch {
        // lea rax, [rip + 9]; ret
        Arch::X86_64 => &[0x48, 0x8d, 0x05, 9, 0, 0, 0, 0xc3],
        // adr x0, #16; ret
        Arch::Aarch64 => &[0x80, 0x00, 0x00, 0x10, 0xc0, 0x03, 0x5f, 0xd6],
        // auipc a0, 0; addi a0, a0, 16; ret
        Arch::Riscv64 => &[0x17, 0x05, 0x00, 0x00, 0x13, 0x05, 0x05, 0x01, 0x67, 0x80, 0x00, 0x00],
    };
    bytes[..code.len()].copy_from_slice(code);
    bytes
}

/// `void *(uint64_t bytes)`: fresh zeroed pages of one's own, or the negative error number, as the system call gives it.
pub(super) fn map(arch: Arch) -> &'static [u8] {
    match arch {
        // mov rsi, rdi; xor edi, edi; mov edx, 3; mov r10d, 0x22; mov r8, -1; xor r9d, r9d; mov eax, 9; syscall; ret
        Arch::X86_64 => &[
            0x48, 0x89, 0xfe, 0x31, 0xff, 0xba, 3, 0, 0, 0, 0x41, 0xba, 0x22, 0, 0, 0, 0x49, 0xc7,
            0xc0, 0xff, 0xff, 0xff, 0xff, 0x45, 0x31, 0xc9, 0xb8, 9, 0, 0, 0, 0x0f, 0x05, 0xc3,
        ],
        // mov x1, x0; mov x0, 0; mov x2, 3; mov x3, 0x22; mov x4, -1; mov x5, 0; mov x8, 222; svc 0; ret
        Arch::Aarch64 => &[
            0xe1, 0x03, 0x00, 0xaa, 0x00, 0x00, 0x80, 0xd2, 0x62, 0x00, 0x80, 0xd2, 0x43, 0x04,
            0x80, 0xd2, 0x04, 0x00, 0x80, 0x92, 0x05, 0x00, 0x80, 0xd2, 0xc8, 0x1b, 0x80, 0xd2,
            0x01, 0x00, 0x00, 0xd4, 0xc0, 0x03, 0x5f, 0xd6,
        ],
        // mv a1, a0; li a0, 0; li a2, 3; li a3, 34; li a4, -1; li a5, 0; li a7, 222; ecall; ret
        Arch::Riscv64 => &[
            0x93, 0x05, 0x05, 0x00, 0x13, 0x05, 0x00, 0x00, 0x13, 0x06, 0x30, 0x00, 0x93, 0x06,
            0x20, 0x02, 0x13, 0x07, 0xf0, 0xff, 0x93, 0x07, 0x00, 0x00, 0x93, 0x08, 0xe0, 0x0d,
            0x73, 0x00, 0x00, 0x00, 0x67, 0x80, 0x00, 0x00,
        ],
    }
}

/// `void (void *start, uint64_t bytes)`: gives pages back.
pub(super) fn unmap(arch: Arch) -> &'static [u8] {
    match arch {
        // mov eax, 11; syscall; ret
        Arch::X86_64 => &[0xb8, 11, 0, 0, 0, 0x0f, 0x05, 0xc3],
        // mov x8, 215; svc 0; ret
        Arch::Aarch64 => &[0xe8, 0x1a, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xc0, 0x03, 0x5f, 0xd6],
        // li a7, 215; ecall; ret
        Arch::Riscv64 => &[0x93, 0x08, 0x70, 0x0d, 0x73, 0x00, 0x00, 0x00, 0x67, 0x80, 0x00, 0x00],
    }
}

/// Where in `supported` the distance to the remembered answer stands, as 4 bytes relative to the end of themselves.
pub(super) const ANSWER_AT: u64 = 3;

/// `uint32_t (void)`: 1 if the processor has what the code of this machine uses, else 2. The answer is remembered, for
/// `cpuid` takes a microsecond under a hypervisor; two threads that ask at once write the same. `None`: nothing to check.
pub(super) fn supported(machine: Machine) -> Option<Vec<u8>> {
    if machine.arch != Arch::X86_64 {
        return None;
    }
    // lea r8, [rip + distance to the answer]
    let mut bytes = vec![0x4c, 0x8d, 0x05, 0, 0, 0, 0];
    bytes.extend(ask(machine).expect("the few instructions of the check can be encoded"));
    Some(bytes)
}

fn ask(machine: Machine) -> Result<Vec<u8>, IcedError> {
    let mut a = CodeAssembler::new(64)?;
    let (mut lacks, mut answer, mut done) = (a.create_label(), a.create_label(), a.create_label());
    let mask = |word| features::mask(machine, word);
    a.mov(eax, dword_ptr(r8))?;
    a.test(eax, eax)?;
    a.jne(done)?;
    a.push(rbx)?;
    a.xor(eax, eax)?;
    a.cpuid()?;
    a.cmp(eax, 7)?;
    a.jb(lacks)?;
    a.mov(eax, 1)?;
    a.cpuid()?;
    a.and(ecx, mask(Word::BaseC))?;
    a.cmp(ecx, mask(Word::BaseC))?;
    a.jne(lacks)?;
    let saved = features::saved_states(machine);
    if saved != 0 {
        a.xor(ecx, ecx)?;
        a.xgetbv()?;
        a.and(eax, saved)?;
        a.cmp(eax, saved)?;
        a.jne(lacks)?;
    }
    a.mov(eax, 7)?;
    a.xor(ecx, ecx)?;
    a.cpuid()?;
    for (register, word) in [(ebx, Word::SevenB), (ecx, Word::SevenC), (edx, Word::SevenD)] {
        if mask(word) != 0 {
            a.and(register, mask(word))?;
            a.cmp(register, mask(word))?;
            a.jne(lacks)?;
        }
    }
    for (leaf, subleaf, register, word) in
        [(7_u32, 1_u32, eax, Word::SevenOneA), (0x8000_0001, 0, ecx, Word::ExtendedC)]
    {
        if mask(word) != 0 {
            a.mov(eax, leaf)?;
            a.mov(ecx, subleaf)?;
            a.cpuid()?;
            a.and(register, mask(word))?;
            a.cmp(register, mask(word))?;
            a.jne(lacks)?;
        }
    }
    if machine.wide.is_some_and(Isa::has_tiles) {
        // The system gives tile registers to a process that asks for them.
        let (number, request, tiles) = permission::REQUEST;
        a.mov(edi, request)?;
        a.mov(esi, tiles)?;
        a.mov(eax, number)?;
        a.syscall()?;
        a.test(eax, eax)?;
        a.jne(lacks)?;
    }
    a.mov(eax, 1)?;
    a.jmp(answer)?;
    a.set_label(&mut lacks)?;
    a.mov(eax, 2)?;
    a.set_label(&mut answer)?;
    a.mov(dword_ptr(r8), eax)?;
    a.pop(rbx)?;
    a.set_label(&mut done)?;
    a.ret()?;
    a.assemble(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disassembly(bytes: &[u8]) -> Vec<String> {
        let decoder = iced_x86::Decoder::new(64, bytes, iced_x86::DecoderOptions::NONE);
        decoder.into_iter().map(|instruction| instruction.to_string()).collect()
    }

    #[test]
    fn system_calls_are_what_they_say() {
        assert_eq!(
            disassembly(map(Arch::X86_64)).join("; "),
            "mov rsi,rdi; xor edi,edi; mov edx,3; mov r10d,22h; mov r8,0FFFFFFFFFFFFFFFFh; \
             xor r9d,r9d; mov eax,9; syscall; ret"
        );
        assert_eq!(disassembly(unmap(Arch::X86_64)).join("; "), "mov eax,0Bh; syscall; ret");
        let head = &own_address(Arch::X86_64)[..8];
        assert_eq!(disassembly(head).join("; "), "lea rax,[rel 10h]; ret");
    }

    #[test]
    fn the_answer_is_addressed_at_the_head() {
        for wide in [None, Some(Isa::Avx2), Some(Isa::Avx512), Some(Isa::Avx512Amx)] {
            let bytes = supported(Machine { arch: Arch::X86_64, wide }).unwrap();
            let code = disassembly(&bytes);
            assert_eq!(code[..2].join("; "), "lea r8,[rel 7]; mov eax,[r8]");
            assert_eq!(code.last().map(String::as_str), Some("ret"));
            let asks = code.join("; ").contains("mov edi,1023h; mov esi,12h; mov eax,9Eh; syscall");
            assert_eq!(asks, wide.is_some_and(Isa::has_tiles));
        }
    }
}
