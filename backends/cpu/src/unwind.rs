//! Unwinding tables of an image, so that a backtrace or a profiler finds its way through a kernel.
//!
//! The tables are an `.eh_frame` section behind the code whose addresses are relative to themselves; the loader
//! registers it where it lands. Invariant: the section depends on the code's offsets only, never on an address.

use cranelift_codegen::CompiledCode;
use cranelift_codegen::isa::TargetIsa;
use cranelift_codegen::isa::unwind::UnwindInfo;
use gimli::write::{Address, EhFrame, EndianVec, FrameTable};
use gimli::{DW_EH_PE_pcrel, DW_EH_PE_sdata4, DwEhPe, RunTimeEndian};

/// The section for functions at these offsets from the section's own start (negative: before it). Empty where the ISA
/// has no System V tables.
pub(crate) fn section(functions: &[(i64, &CompiledCode)], isa: &dyn TargetIsa) -> Vec<u8> {
    let Some(mut entry) = isa.create_systemv_cie() else { return Vec::new() };
    entry.fde_address_encoding = DwEhPe(DW_EH_PE_pcrel.0 | DW_EH_PE_sdata4.0);
    let mut table = FrameTable::default();
    let entry = table.add_cie(entry);
    for &(offset, code) in functions {
        if let Ok(Some(UnwindInfo::SystemV(info))) = code.create_unwind_info(isa) {
            // Two's complement: the writer subtracts the place of the pointer, which leaves a small distance.
            table.add_fde(entry, info.to_fde(Address::Constant(offset.cast_unsigned())));
        }
    }
    let mut section = EhFrame(EndianVec::new(RunTimeEndian::Little));
    if table.write_eh_frame(&mut section).is_err() {
        return Vec::new();
    }
    let mut bytes = section.0.into_vec();
    // A zero length ends the section for the unwinder.
    bytes.extend([0; 4]);
    bytes
}
