//! The instructions of the wide path, as data.
//!
//! A row is one operation: its opcodes for vectors of 128, 256 and 512 bits with the AVX-512 encoding, then for 128 and
//! 256 bits with the AVX2 encoding. `INVALID` marks what does not exist. A row that changes the width of its elements
//! is found by its wider operand.
//! Invariant: operands stand in the order of the listing, destination first.

use super::super::isa::Isa;
use iced_x86::Code::{self, *};

/// The opcodes of an operation.
#[derive(Debug)]
pub(super) struct Row {
    /// What the table calls it.
    pub(super) name: &'static str,
    /// 128, 256 and 512 bits.
    avx512: [Code; 3],
    /// 128 and 256 bits.
    avx2: [Code; 2],
}

impl Row {
    /// The opcode for vectors of 16, 32 or 64 bytes.
    pub(super) fn code(&self, isa: Isa, bytes: u64) -> Option<Code> {
        let place = match bytes {
            16 => 0,
            32 => 1,
            64 => 2,
            _ => return None,
        };
        let codes: &[Code] = match isa {
            Isa::Avx2 => &self.avx2,
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Avx512Bf16 | Isa::Avx512Amx => &self.avx512,
        };
        codes.get(place).copied().filter(|&code| code != INVALID)
    }
}

macro_rules! rows {
    ($($name:ident: $x:ident $y:ident $z:ident / $vx:ident $vy:ident;)*) => {
        $(pub(super) static $name: Row = Row {
            name: stringify!($name),
            avx512: [$x, $y, $z],
            avx2: [$vx, $vy],
        };)*
    };
}

rows! {
    // Arithmetic: `to, x, y`, y in memory or broadcast.
    ADD_F32: EVEX_Vaddps_xmm_k1z_xmm_xmmm128b32 EVEX_Vaddps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vaddps_zmm_k1z_zmm_zmmm512b32_er / VEX_Vaddps_xmm_xmm_xmmm128
        VEX_Vaddps_ymm_ymm_ymmm256;
    ADD_F64: EVEX_Vaddpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vaddpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vaddpd_zmm_k1z_zmm_zmmm512b64_er / VEX_Vaddpd_xmm_xmm_xmmm128
        VEX_Vaddpd_ymm_ymm_ymmm256;
    SUB_F32: EVEX_Vsubps_xmm_k1z_xmm_xmmm128b32 EVEX_Vsubps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vsubps_zmm_k1z_zmm_zmmm512b32_er / VEX_Vsubps_xmm_xmm_xmmm128
        VEX_Vsubps_ymm_ymm_ymmm256;
    SUB_F64: EVEX_Vsubpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vsubpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vsubpd_zmm_k1z_zmm_zmmm512b64_er / VEX_Vsubpd_xmm_xmm_xmmm128
        VEX_Vsubpd_ymm_ymm_ymmm256;
    MUL_F32: EVEX_Vmulps_xmm_k1z_xmm_xmmm128b32 EVEX_Vmulps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vmulps_zmm_k1z_zmm_zmmm512b32_er / VEX_Vmulps_xmm_xmm_xmmm128
        VEX_Vmulps_ymm_ymm_ymmm256;
    MUL_F64: EVEX_Vmulpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vmulpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vmulpd_zmm_k1z_zmm_zmmm512b64_er / VEX_Vmulpd_xmm_xmm_xmmm128
        VEX_Vmulpd_ymm_ymm_ymmm256;
    DIV_F32: EVEX_Vdivps_xmm_k1z_xmm_xmmm128b32 EVEX_Vdivps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vdivps_zmm_k1z_zmm_zmmm512b32_er / VEX_Vdivps_xmm_xmm_xmmm128
        VEX_Vdivps_ymm_ymm_ymmm256;
    DIV_F64: EVEX_Vdivpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vdivpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vdivpd_zmm_k1z_zmm_zmmm512b64_er / VEX_Vdivpd_xmm_xmm_xmmm128
        VEX_Vdivpd_ymm_ymm_ymmm256;
    MIN_F32: EVEX_Vminps_xmm_k1z_xmm_xmmm128b32 EVEX_Vminps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vminps_zmm_k1z_zmm_zmmm512b32_sae / VEX_Vminps_xmm_xmm_xmmm128
        VEX_Vminps_ymm_ymm_ymmm256;
    MIN_F64: EVEX_Vminpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vminpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vminpd_zmm_k1z_zmm_zmmm512b64_sae / VEX_Vminpd_xmm_xmm_xmmm128
        VEX_Vminpd_ymm_ymm_ymmm256;
    MAX_F32: EVEX_Vmaxps_xmm_k1z_xmm_xmmm128b32 EVEX_Vmaxps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vmaxps_zmm_k1z_zmm_zmmm512b32_sae / VEX_Vmaxps_xmm_xmm_xmmm128
        VEX_Vmaxps_ymm_ymm_ymmm256;
    MAX_F64: EVEX_Vmaxpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vmaxpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vmaxpd_zmm_k1z_zmm_zmmm512b64_sae / VEX_Vmaxpd_xmm_xmm_xmmm128
        VEX_Vmaxpd_ymm_ymm_ymmm256;
    ADD_I32: EVEX_Vpaddd_xmm_k1z_xmm_xmmm128b32 EVEX_Vpaddd_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpaddd_zmm_k1z_zmm_zmmm512b32 / VEX_Vpaddd_xmm_xmm_xmmm128 VEX_Vpaddd_ymm_ymm_ymmm256;
    ADD_I64: EVEX_Vpaddq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpaddq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpaddq_zmm_k1z_zmm_zmmm512b64 / VEX_Vpaddq_xmm_xmm_xmmm128 VEX_Vpaddq_ymm_ymm_ymmm256;
    SUB_I32: EVEX_Vpsubd_xmm_k1z_xmm_xmmm128b32 EVEX_Vpsubd_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpsubd_zmm_k1z_zmm_zmmm512b32 / VEX_Vpsubd_xmm_xmm_xmmm128 VEX_Vpsubd_ymm_ymm_ymmm256;
    SUB_I64: EVEX_Vpsubq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpsubq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpsubq_zmm_k1z_zmm_zmmm512b64 / VEX_Vpsubq_xmm_xmm_xmmm128 VEX_Vpsubq_ymm_ymm_ymmm256;
    MUL_I32: EVEX_Vpmulld_xmm_k1z_xmm_xmmm128b32 EVEX_Vpmulld_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpmulld_zmm_k1z_zmm_zmmm512b32 / VEX_Vpmulld_xmm_xmm_xmmm128
        VEX_Vpmulld_ymm_ymm_ymmm256;
    MIN_I32: EVEX_Vpminsd_xmm_k1z_xmm_xmmm128b32 EVEX_Vpminsd_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpminsd_zmm_k1z_zmm_zmmm512b32 / VEX_Vpminsd_xmm_xmm_xmmm128
        VEX_Vpminsd_ymm_ymm_ymmm256;
    MAX_I32: EVEX_Vpmaxsd_xmm_k1z_xmm_xmmm128b32 EVEX_Vpmaxsd_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpmaxsd_zmm_k1z_zmm_zmmm512b32 / VEX_Vpmaxsd_xmm_xmm_xmmm128
        VEX_Vpmaxsd_ymm_ymm_ymmm256;
    AND_32: EVEX_Vpandd_xmm_k1z_xmm_xmmm128b32 EVEX_Vpandd_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpandd_zmm_k1z_zmm_zmmm512b32 / VEX_Vpand_xmm_xmm_xmmm128 VEX_Vpand_ymm_ymm_ymmm256;
    AND_64: EVEX_Vpandq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpandq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpandq_zmm_k1z_zmm_zmmm512b64 / VEX_Vpand_xmm_xmm_xmmm128 VEX_Vpand_ymm_ymm_ymmm256;
    OR_32: EVEX_Vpord_xmm_k1z_xmm_xmmm128b32 EVEX_Vpord_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpord_zmm_k1z_zmm_zmmm512b32 / VEX_Vpor_xmm_xmm_xmmm128 VEX_Vpor_ymm_ymm_ymmm256;
    OR_64: EVEX_Vporq_xmm_k1z_xmm_xmmm128b64 EVEX_Vporq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vporq_zmm_k1z_zmm_zmmm512b64 / VEX_Vpor_xmm_xmm_xmmm128 VEX_Vpor_ymm_ymm_ymmm256;
    XOR_32: EVEX_Vpxord_xmm_k1z_xmm_xmmm128b32 EVEX_Vpxord_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpxord_zmm_k1z_zmm_zmmm512b32 / VEX_Vpxor_xmm_xmm_xmmm128 VEX_Vpxor_ymm_ymm_ymmm256;
    XOR_64: EVEX_Vpxorq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpxorq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpxorq_zmm_k1z_zmm_zmmm512b64 / VEX_Vpxor_xmm_xmm_xmmm128 VEX_Vpxor_ymm_ymm_ymmm256;
    AND_NOT_32: EVEX_Vpandnd_xmm_k1z_xmm_xmmm128b32 EVEX_Vpandnd_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpandnd_zmm_k1z_zmm_zmmm512b32 / VEX_Vpandn_xmm_xmm_xmmm128 VEX_Vpandn_ymm_ymm_ymmm256;
    AND_NOT_64: EVEX_Vpandnq_xmm_k1z_xmm_xmmm128b64 EVEX_Vpandnq_ymm_k1z_ymm_ymmm256b64
        EVEX_Vpandnq_zmm_k1z_zmm_zmmm512b64 / VEX_Vpandn_xmm_xmm_xmmm128 VEX_Vpandn_ymm_ymm_ymmm256;
    MULTIPLY_ADD_132_F32: EVEX_Vfmadd132ps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vfmadd132ps_ymm_k1z_ymm_ymmm256b32 EVEX_Vfmadd132ps_zmm_k1z_zmm_zmmm512b32_er /
        VEX_Vfmadd132ps_xmm_xmm_xmmm128 VEX_Vfmadd132ps_ymm_ymm_ymmm256;
    MULTIPLY_ADD_132_F64: EVEX_Vfmadd132pd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vfmadd132pd_ymm_k1z_ymm_ymmm256b64 EVEX_Vfmadd132pd_zmm_k1z_zmm_zmmm512b64_er /
        VEX_Vfmadd132pd_xmm_xmm_xmmm128 VEX_Vfmadd132pd_ymm_ymm_ymmm256;
    MULTIPLY_ADD_213_F32: EVEX_Vfmadd213ps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vfmadd213ps_ymm_k1z_ymm_ymmm256b32 EVEX_Vfmadd213ps_zmm_k1z_zmm_zmmm512b32_er /
        VEX_Vfmadd213ps_xmm_xmm_xmmm128 VEX_Vfmadd213ps_ymm_ymm_ymmm256;
    MULTIPLY_ADD_213_F64: EVEX_Vfmadd213pd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vfmadd213pd_ymm_k1z_ymm_ymmm256b64 EVEX_Vfmadd213pd_zmm_k1z_zmm_zmmm512b64_er /
        VEX_Vfmadd213pd_xmm_xmm_xmmm128 VEX_Vfmadd213pd_ymm_ymm_ymmm256;
    MULTIPLY_ADD_231_F32: EVEX_Vfmadd231ps_xmm_k1z_xmm_xmmm128b32
        EVEX_Vfmadd231ps_ymm_k1z_ymm_ymmm256b32 EVEX_Vfmadd231ps_zmm_k1z_zmm_zmmm512b32_er /
        VEX_Vfmadd231ps_xmm_xmm_xmmm128 VEX_Vfmadd231ps_ymm_ymm_ymmm256;
    MULTIPLY_ADD_231_F64: EVEX_Vfmadd231pd_xmm_k1z_xmm_xmmm128b64
        EVEX_Vfmadd231pd_ymm_k1z_ymm_ymmm256b64 EVEX_Vfmadd231pd_zmm_k1z_zmm_zmmm512b64_er /
        VEX_Vfmadd231pd_xmm_xmm_xmmm128 VEX_Vfmadd231pd_ymm_ymm_ymmm256;
    DOT_BYTES: EVEX_Vpdpbusd_xmm_k1z_xmm_xmmm128b32 EVEX_Vpdpbusd_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpdpbusd_zmm_k1z_zmm_zmmm512b32 / INVALID INVALID;
    DOT_WORDS: EVEX_Vpdpwssd_xmm_k1z_xmm_xmmm128b32 EVEX_Vpdpwssd_ymm_k1z_ymm_ymmm256b32
        EVEX_Vpdpwssd_zmm_k1z_zmm_zmmm512b32 / INVALID INVALID;
    DOT_BF16: EVEX_Vdpbf16ps_xmm_k1z_xmm_xmmm128b32 EVEX_Vdpbf16ps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vdpbf16ps_zmm_k1z_zmm_zmmm512b32 / INVALID INVALID;
    // `to, upper, lower`.
    HALVE: EVEX_Vcvtne2ps2bf16_xmm_k1z_xmm_xmmm128b32 EVEX_Vcvtne2ps2bf16_ymm_k1z_ymm_ymmm256b32
        EVEX_Vcvtne2ps2bf16_zmm_k1z_zmm_zmmm512b32 / INVALID INVALID;
    SCALE_F32: EVEX_Vscalefps_xmm_k1z_xmm_xmmm128b32 EVEX_Vscalefps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vscalefps_zmm_k1z_zmm_zmmm512b32_er / INVALID INVALID;
    SCALE_F64: EVEX_Vscalefpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vscalefpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vscalefpd_zmm_k1z_zmm_zmmm512b64_er / INVALID INVALID;
    // `to, at, table`.
    LOOK_UP_16: EVEX_Vpermw_xmm_k1z_xmm_xmmm128 EVEX_Vpermw_ymm_k1z_ymm_ymmm256
        EVEX_Vpermw_zmm_k1z_zmm_zmmm512 / INVALID INVALID;
    LOOK_UP_32: INVALID INVALID EVEX_Vpermps_zmm_k1z_zmm_zmmm512b32
        / INVALID INVALID;
    ZIP_LOW_32: EVEX_Vunpcklps_xmm_k1z_xmm_xmmm128b32 EVEX_Vunpcklps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vunpcklps_zmm_k1z_zmm_zmmm512b32 / VEX_Vunpcklps_xmm_xmm_xmmm128
        VEX_Vunpcklps_ymm_ymm_ymmm256;
    ZIP_HIGH_32: EVEX_Vunpckhps_xmm_k1z_xmm_xmmm128b32 EVEX_Vunpckhps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vunpckhps_zmm_k1z_zmm_zmmm512b32 / VEX_Vunpckhps_xmm_xmm_xmmm128
        VEX_Vunpckhps_ymm_ymm_ymmm256;
    ZIP_LOW_64: EVEX_Vunpcklpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vunpcklpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vunpcklpd_zmm_k1z_zmm_zmmm512b64 / VEX_Vunpcklpd_xmm_xmm_xmmm128
        VEX_Vunpcklpd_ymm_ymm_ymmm256;
    ZIP_HIGH_64: EVEX_Vunpckhpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vunpckhpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vunpckhpd_zmm_k1z_zmm_zmmm512b64 / VEX_Vunpckhpd_xmm_xmm_xmmm128
        VEX_Vunpckhpd_ymm_ymm_ymmm256;
    PIECES: INVALID EVEX_Vshuff32x4_ymm_k1z_ymm_ymmm256b32_imm8
        EVEX_Vshuff32x4_zmm_k1z_zmm_zmmm512b32_imm8 / INVALID VEX_Vperm2f128_ymm_ymm_ymmm256_imm8;
    ALIGN_32: EVEX_Valignd_xmm_k1z_xmm_xmmm128b32_imm8 EVEX_Valignd_ymm_k1z_ymm_ymmm256b32_imm8
        EVEX_Valignd_zmm_k1z_zmm_zmmm512b32_imm8 / INVALID INVALID;
    ALIGN_64: EVEX_Valignq_xmm_k1z_xmm_xmmm128b64_imm8 EVEX_Valignq_ymm_k1z_ymm_ymmm256b64_imm8
        EVEX_Valignq_zmm_k1z_zmm_zmmm512b64_imm8 / INVALID INVALID;
    TERNARY_32: EVEX_Vpternlogd_xmm_k1z_xmm_xmmm128b32_imm8
        EVEX_Vpternlogd_ymm_k1z_ymm_ymmm256b32_imm8 EVEX_Vpternlogd_zmm_k1z_zmm_zmmm512b32_imm8 /
        INVALID INVALID;

    // `to, no, yes`; on AVX2 with the mask as a fourth operand.
    SELECT_32: EVEX_Vblendmps_xmm_k1z_xmm_xmmm128b32 EVEX_Vblendmps_ymm_k1z_ymm_ymmm256b32
        EVEX_Vblendmps_zmm_k1z_zmm_zmmm512b32 / VEX_Vblendvps_xmm_xmm_xmmm128_xmm
        VEX_Vblendvps_ymm_ymm_ymmm256_ymm;
    SELECT_64: EVEX_Vblendmpd_xmm_k1z_xmm_xmmm128b64 EVEX_Vblendmpd_ymm_k1z_ymm_ymmm256b64
        EVEX_Vblendmpd_zmm_k1z_zmm_zmmm512b64 / VEX_Vblendvpd_xmm_xmm_xmmm128_xmm
        VEX_Vblendvpd_ymm_ymm_ymmm256_ymm;

    // Comparisons: `to, x, y, condition`.
    COMPARE_F32: EVEX_Vcmpps_kr_k1_xmm_xmmm128b32_imm8 EVEX_Vcmpps_kr_k1_ymm_ymmm256b32_imm8
        EVEX_Vcmpps_kr_k1_zmm_zmmm512b32_imm8_sae / VEX_Vcmpps_xmm_xmm_xmmm128_imm8
        VEX_Vcmpps_ymm_ymm_ymmm256_imm8;
    COMPARE_F64: EVEX_Vcmppd_kr_k1_xmm_xmmm128b64_imm8 EVEX_Vcmppd_kr_k1_ymm_ymmm256b64_imm8
        EVEX_Vcmppd_kr_k1_zmm_zmmm512b64_imm8_sae / VEX_Vcmppd_xmm_xmm_xmmm128_imm8
        VEX_Vcmppd_ymm_ymm_ymmm256_imm8;
    COMPARE_I32: EVEX_Vpcmpd_kr_k1_xmm_xmmm128b32_imm8 EVEX_Vpcmpd_kr_k1_ymm_ymmm256b32_imm8
        EVEX_Vpcmpd_kr_k1_zmm_zmmm512b32_imm8 / INVALID INVALID;
    COMPARE_I64: EVEX_Vpcmpq_kr_k1_xmm_xmmm128b64_imm8 EVEX_Vpcmpq_kr_k1_ymm_ymmm256b64_imm8
        EVEX_Vpcmpq_kr_k1_zmm_zmmm512b64_imm8 / INVALID INVALID;

    // Comparisons that AVX2 has of integers: `to, x, y`.
    EQUAL_32: INVALID INVALID INVALID / VEX_Vpcmpeqd_xmm_xmm_xmmm128 VEX_Vpcmpeqd_ymm_ymm_ymmm256;
    EQUAL_64: INVALID INVALID INVALID / VEX_Vpcmpeqq_xmm_xmm_xmmm128 VEX_Vpcmpeqq_ymm_ymm_ymmm256;
    GREATER_32: INVALID INVALID INVALID / VEX_Vpcmpgtd_xmm_xmm_xmmm128 VEX_Vpcmpgtd_ymm_ymm_ymmm256;
    GREATER_64: INVALID INVALID INVALID / VEX_Vpcmpgtq_xmm_xmm_xmmm128 VEX_Vpcmpgtq_ymm_ymm_ymmm256;

    // One operand: `to, x`, x in memory or broadcast.
    SQRT_F32: EVEX_Vsqrtps_xmm_k1z_xmmm128b32 EVEX_Vsqrtps_ymm_k1z_ymmm256b32
        EVEX_Vsqrtps_zmm_k1z_zmmm512b32_er / VEX_Vsqrtps_xmm_xmmm128 VEX_Vsqrtps_ymm_ymmm256;
    SQRT_F64: EVEX_Vsqrtpd_xmm_k1z_xmmm128b64 EVEX_Vsqrtpd_ymm_k1z_ymmm256b64
        EVEX_Vsqrtpd_zmm_k1z_zmmm512b64_er / VEX_Vsqrtpd_xmm_xmmm128 VEX_Vsqrtpd_ymm_ymmm256;
    ROUND_F32: EVEX_Vrndscaleps_xmm_k1z_xmmm128b32_imm8 EVEX_Vrndscaleps_ymm_k1z_ymmm256b32_imm8
        EVEX_Vrndscaleps_zmm_k1z_zmmm512b32_imm8_sae / VEX_Vroundps_xmm_xmmm128_imm8
        VEX_Vroundps_ymm_ymmm256_imm8;
    ROUND_F64: EVEX_Vrndscalepd_xmm_k1z_xmmm128b64_imm8 EVEX_Vrndscalepd_ymm_k1z_ymmm256b64_imm8
        EVEX_Vrndscalepd_zmm_k1z_zmmm512b64_imm8_sae / VEX_Vroundpd_xmm_xmmm128_imm8
        VEX_Vroundpd_ymm_ymmm256_imm8;
    ABS_I32: EVEX_Vpabsd_xmm_k1z_xmmm128b32 EVEX_Vpabsd_ymm_k1z_ymmm256b32
        EVEX_Vpabsd_zmm_k1z_zmmm512b32 / VEX_Vpabsd_xmm_xmmm128 VEX_Vpabsd_ymm_ymmm256;
    F32_OF_I32: EVEX_Vcvtdq2ps_xmm_k1z_xmmm128b32 EVEX_Vcvtdq2ps_ymm_k1z_ymmm256b32
        EVEX_Vcvtdq2ps_zmm_k1z_zmmm512b32_er / VEX_Vcvtdq2ps_xmm_xmmm128 VEX_Vcvtdq2ps_ymm_ymmm256;
    I32_OF_F32: EVEX_Vcvttps2dq_xmm_k1z_xmmm128b32 EVEX_Vcvttps2dq_ymm_k1z_ymmm256b32
        EVEX_Vcvttps2dq_zmm_k1z_zmmm512b32_sae / VEX_Vcvttps2dq_xmm_xmmm128
        VEX_Vcvttps2dq_ymm_ymmm256;
    F64_OF_I32: EVEX_Vcvtdq2pd_xmm_k1z_xmmm64b32 EVEX_Vcvtdq2pd_ymm_k1z_xmmm128b32
        EVEX_Vcvtdq2pd_zmm_k1z_ymmm256b32_er / VEX_Vcvtdq2pd_xmm_xmmm64 VEX_Vcvtdq2pd_ymm_xmmm128;
    F64_OF_F32: EVEX_Vcvtps2pd_xmm_k1z_xmmm64b32 EVEX_Vcvtps2pd_ymm_k1z_xmmm128b32
        EVEX_Vcvtps2pd_zmm_k1z_ymmm256b32_sae / VEX_Vcvtps2pd_xmm_xmmm64 VEX_Vcvtps2pd_ymm_xmmm128;
    I32_OF_F64: EVEX_Vcvttpd2dq_xmm_k1z_xmmm128b64 EVEX_Vcvttpd2dq_xmm_k1z_ymmm256b64
        EVEX_Vcvttpd2dq_ymm_k1z_zmmm512b64_sae / VEX_Vcvttpd2dq_xmm_xmmm128
        VEX_Vcvttpd2dq_xmm_ymmm256;
    F32_OF_F64: EVEX_Vcvtpd2ps_xmm_k1z_xmmm128b64 EVEX_Vcvtpd2ps_xmm_k1z_ymmm256b64
        EVEX_Vcvtpd2ps_ymm_k1z_zmmm512b64_er / VEX_Vcvtpd2ps_xmm_xmmm128 VEX_Vcvtpd2ps_xmm_ymmm256;

    // Between widths: without broadcasts; the wider operand counts.
    LOW_HALF: EVEX_Vpmovqd_xmmm64_k1z_xmm EVEX_Vpmovqd_xmmm128_k1z_ymm
        EVEX_Vpmovqd_ymmm256_k1z_zmm / INVALID INVALID;
    EXTEND_I32: EVEX_Vpmovsxdq_xmm_k1z_xmmm64 EVEX_Vpmovsxdq_ymm_k1z_xmmm128
        EVEX_Vpmovsxdq_zmm_k1z_ymmm256 / VEX_Vpmovsxdq_xmm_xmmm64 VEX_Vpmovsxdq_ymm_xmmm128;
    LOAD_F16: EVEX_Vcvtph2ps_xmm_k1z_xmmm64 EVEX_Vcvtph2ps_ymm_k1z_xmmm128
        EVEX_Vcvtph2ps_zmm_k1z_ymmm256_sae / VEX_Vcvtph2ps_xmm_xmmm64 VEX_Vcvtph2ps_ymm_xmmm128;
    LOAD_U16: EVEX_Vpmovzxwd_xmm_k1z_xmmm64 EVEX_Vpmovzxwd_ymm_k1z_xmmm128
        EVEX_Vpmovzxwd_zmm_k1z_ymmm256 / VEX_Vpmovzxwd_xmm_xmmm64 VEX_Vpmovzxwd_ymm_xmmm128;
    LOAD_I16: EVEX_Vpmovsxwd_xmm_k1z_xmmm64 EVEX_Vpmovsxwd_ymm_k1z_xmmm128
        EVEX_Vpmovsxwd_zmm_k1z_ymmm256 / VEX_Vpmovsxwd_xmm_xmmm64 VEX_Vpmovsxwd_ymm_xmmm128;
    LOAD_U8: EVEX_Vpmovzxbd_xmm_k1z_xmmm32 EVEX_Vpmovzxbd_ymm_k1z_xmmm64
        EVEX_Vpmovzxbd_zmm_k1z_xmmm128 / VEX_Vpmovzxbd_xmm_xmmm32 VEX_Vpmovzxbd_ymm_xmmm64;
    LOAD_U8_64: EVEX_Vpmovzxbq_xmm_k1z_xmmm16 EVEX_Vpmovzxbq_ymm_k1z_xmmm32
        EVEX_Vpmovzxbq_zmm_k1z_xmmm64 / VEX_Vpmovzxbq_xmm_xmmm16 VEX_Vpmovzxbq_ymm_xmmm32;
    LOAD_I8: EVEX_Vpmovsxbd_xmm_k1z_xmmm32 EVEX_Vpmovsxbd_ymm_k1z_xmmm64
        EVEX_Vpmovsxbd_zmm_k1z_xmmm128 / VEX_Vpmovsxbd_xmm_xmmm32 VEX_Vpmovsxbd_ymm_xmmm64;
    STORE_F16: EVEX_Vcvtps2ph_xmmm64_k1z_xmm_imm8 EVEX_Vcvtps2ph_xmmm128_k1z_ymm_imm8
        EVEX_Vcvtps2ph_ymmm256_k1z_zmm_imm8_sae / VEX_Vcvtps2ph_xmmm64_xmm_imm8
        VEX_Vcvtps2ph_xmmm128_ymm_imm8;
    STORE_16: EVEX_Vpmovdw_xmmm64_k1z_xmm EVEX_Vpmovdw_xmmm128_k1z_ymm
        EVEX_Vpmovdw_ymmm256_k1z_zmm / INVALID INVALID;
    STORE_8: EVEX_Vpmovdb_xmmm32_k1z_xmm EVEX_Vpmovdb_xmmm64_k1z_ymm EVEX_Vpmovdb_xmmm128_k1z_zmm /
        INVALID INVALID;

    // Shifts by a constant: `to, x, count`.
    LEFT_32: EVEX_Vpslld_xmm_k1z_xmmm128b32_imm8 EVEX_Vpslld_ymm_k1z_ymmm256b32_imm8
        EVEX_Vpslld_zmm_k1z_zmmm512b32_imm8 / VEX_Vpslld_xmm_xmm_imm8 VEX_Vpslld_ymm_ymm_imm8;
    LEFT_64: EVEX_Vpsllq_xmm_k1z_xmmm128b64_imm8 EVEX_Vpsllq_ymm_k1z_ymmm256b64_imm8
        EVEX_Vpsllq_zmm_k1z_zmmm512b64_imm8 / VEX_Vpsllq_xmm_xmm_imm8 VEX_Vpsllq_ymm_ymm_imm8;
    RIGHT_LOGICAL_32: EVEX_Vpsrld_xmm_k1z_xmmm128b32_imm8 EVEX_Vpsrld_ymm_k1z_ymmm256b32_imm8
        EVEX_Vpsrld_zmm_k1z_zmmm512b32_imm8 / VEX_Vpsrld_xmm_xmm_imm8 VEX_Vpsrld_ymm_ymm_imm8;
    RIGHT_LOGICAL_64: EVEX_Vpsrlq_xmm_k1z_xmmm128b64_imm8 EVEX_Vpsrlq_ymm_k1z_ymmm256b64_imm8
        EVEX_Vpsrlq_zmm_k1z_zmmm512b64_imm8 / VEX_Vpsrlq_xmm_xmm_imm8 VEX_Vpsrlq_ymm_ymm_imm8;
    RIGHT_ARITHMETIC_32: EVEX_Vpsrad_xmm_k1z_xmmm128b32_imm8 EVEX_Vpsrad_ymm_k1z_ymmm256b32_imm8
        EVEX_Vpsrad_zmm_k1z_zmmm512b32_imm8 / VEX_Vpsrad_xmm_xmm_imm8 VEX_Vpsrad_ymm_ymm_imm8;

    // Moves.
    MOVE: EVEX_Vmovaps_xmm_k1z_xmmm128 EVEX_Vmovaps_ymm_k1z_ymmm256 EVEX_Vmovaps_zmm_k1z_zmmm512 /
        VEX_Vmovaps_xmm_xmmm128 VEX_Vmovaps_ymm_ymmm256;
    LOAD_32: EVEX_Vmovups_xmm_k1z_xmmm128 EVEX_Vmovups_ymm_k1z_ymmm256
        EVEX_Vmovups_zmm_k1z_zmmm512 / VEX_Vmovups_xmm_xmmm128 VEX_Vmovups_ymm_ymmm256;
    LOAD_64: EVEX_Vmovupd_xmm_k1z_xmmm128 EVEX_Vmovupd_ymm_k1z_ymmm256
        EVEX_Vmovupd_zmm_k1z_zmmm512 / VEX_Vmovupd_xmm_xmmm128 VEX_Vmovupd_ymm_ymmm256;
    STORE_32: EVEX_Vmovups_xmmm128_k1z_xmm EVEX_Vmovups_ymmm256_k1z_ymm
        EVEX_Vmovups_zmmm512_k1z_zmm / VEX_Vmovups_xmmm128_xmm VEX_Vmovups_ymmm256_ymm;
    STORE_64: EVEX_Vmovupd_xmmm128_k1z_xmm EVEX_Vmovupd_ymmm256_k1z_ymm
        EVEX_Vmovupd_zmmm512_k1z_zmm / VEX_Vmovupd_xmmm128_xmm VEX_Vmovupd_ymmm256_ymm;
    STREAM: EVEX_Vmovntps_m128_xmm EVEX_Vmovntps_m256_ymm EVEX_Vmovntps_m512_zmm /
        VEX_Vmovntps_m128_xmm VEX_Vmovntps_m256_ymm;
    BROADCAST_16: EVEX_Vpbroadcastw_xmm_k1z_xmmm16 EVEX_Vpbroadcastw_ymm_k1z_xmmm16
        EVEX_Vpbroadcastw_zmm_k1z_xmmm16 / VEX_Vpbroadcastw_xmm_xmmm16 VEX_Vpbroadcastw_ymm_xmmm16;
    BROADCAST_32: EVEX_Vpbroadcastd_xmm_k1z_xmmm32 EVEX_Vpbroadcastd_ymm_k1z_xmmm32
        EVEX_Vpbroadcastd_zmm_k1z_xmmm32 / VEX_Vpbroadcastd_xmm_xmmm32 VEX_Vpbroadcastd_ymm_xmmm32;
    BROADCAST_64: EVEX_Vpbroadcastq_xmm_k1z_xmmm64 EVEX_Vpbroadcastq_ymm_k1z_xmmm64
        EVEX_Vpbroadcastq_zmm_k1z_xmmm64 / VEX_Vpbroadcastq_xmm_xmmm64 VEX_Vpbroadcastq_ymm_xmmm64;
    SPLAT_32: EVEX_Vpbroadcastd_xmm_k1z_r32 EVEX_Vpbroadcastd_ymm_k1z_r32
        EVEX_Vpbroadcastd_zmm_k1z_r32 / INVALID INVALID;
    SPLAT_64: EVEX_Vpbroadcastq_xmm_k1z_r64 EVEX_Vpbroadcastq_ymm_k1z_r64
        EVEX_Vpbroadcastq_zmm_k1z_r64 / INVALID INVALID;

    // One element: rows of 128 bits.
    LOAD_FIRST_32: EVEX_Vmovss_xmm_k1z_m32 INVALID INVALID / VEX_Vmovss_xmm_m32 INVALID;
    LOAD_FIRST_64: EVEX_Vmovsd_xmm_k1z_m64 INVALID INVALID / VEX_Vmovsd_xmm_m64 INVALID;
    STORE_FIRST_32: EVEX_Vmovss_m32_k1_xmm INVALID INVALID / VEX_Vmovss_m32_xmm INVALID;
    STORE_FIRST_64: EVEX_Vmovsd_m64_k1_xmm INVALID INVALID / VEX_Vmovsd_m64_xmm INVALID;
    IN_32: EVEX_Vmovd_xmm_rm32 INVALID INVALID / VEX_Vmovd_xmm_rm32 INVALID;
    IN_64: EVEX_Vmovq_xmm_rm64 INVALID INVALID / VEX_Vmovq_xmm_rm64 INVALID;
    OUT_32: EVEX_Vmovd_rm32_xmm INVALID INVALID / VEX_Vmovd_rm32_xmm INVALID;

    // Elements at computed places: AVX2 takes the mask as a third operand.
    GATHER_32: EVEX_Vpgatherdd_xmm_k1_vm32x EVEX_Vpgatherdd_ymm_k1_vm32y
        EVEX_Vpgatherdd_zmm_k1_vm32z / VEX_Vpgatherdd_xmm_vm32x_xmm VEX_Vpgatherdd_ymm_vm32y_ymm;
    GATHER_64: EVEX_Vpgatherdq_xmm_k1_vm32x EVEX_Vpgatherdq_ymm_k1_vm32x
        EVEX_Vpgatherdq_zmm_k1_vm32y / VEX_Vpgatherdq_xmm_vm32x_xmm VEX_Vpgatherdq_ymm_vm32x_ymm;
    SCATTER_32: EVEX_Vpscatterdd_vm32x_k1_xmm EVEX_Vpscatterdd_vm32y_k1_ymm
        EVEX_Vpscatterdd_vm32z_k1_zmm / INVALID INVALID;
    SCATTER_64: EVEX_Vpscatterdq_vm32x_k1_xmm EVEX_Vpscatterdq_vm32x_k1_ymm
        EVEX_Vpscatterdq_vm32y_k1_zmm / INVALID INVALID;

    // Whole registers and pieces of them, AVX2.
    MASKED_LOAD_32: INVALID INVALID INVALID / VEX_Vpmaskmovd_xmm_xmm_m128
        VEX_Vpmaskmovd_ymm_ymm_m256;
    MASKED_LOAD_64: INVALID INVALID INVALID / VEX_Vpmaskmovq_xmm_xmm_m128
        VEX_Vpmaskmovq_ymm_ymm_m256;
    MASKED_STORE_32: INVALID INVALID INVALID / VEX_Vpmaskmovd_m128_xmm_xmm
        VEX_Vpmaskmovd_m256_ymm_ymm;
    MASKED_STORE_64: INVALID INVALID INVALID / VEX_Vpmaskmovq_m128_xmm_xmm
        VEX_Vpmaskmovq_m256_ymm_ymm;
    SHIFT_BYTES: INVALID INVALID INVALID / VEX_Vpsrldq_xmm_xmm_imm8 VEX_Vpsrldq_ymm_ymm_imm8;
    ALIGN_BYTES: INVALID INVALID INVALID / VEX_Vpalignr_xmm_xmm_xmmm128_imm8
        VEX_Vpalignr_ymm_ymm_ymmm256_imm8;
    SWAP_HALVES: INVALID INVALID INVALID / INVALID VEX_Vperm2i128_ymm_ymm_ymmm256_imm8;
    UPPER_HALF: INVALID INVALID INVALID / INVALID VEX_Vextracti128_xmmm128_ymm_imm8;
    SHUFFLE_BYTES: INVALID INVALID INVALID / VEX_Vpshufb_xmm_xmm_xmmm128
        VEX_Vpshufb_ymm_ymm_ymmm256;
    SHUFFLE_32: INVALID INVALID INVALID / VEX_Vshufps_xmm_xmm_xmmm128_imm8
        VEX_Vshufps_ymm_ymm_ymmm256_imm8;
    LOW_64: INVALID INVALID INVALID / VEX_Vmovq_xmmm64_xmm INVALID;
    SIGNS_32: INVALID INVALID INVALID / VEX_Vmovmskps_r32_xmm VEX_Vmovmskps_r32_ymm;
    SIGNS_64: INVALID INVALID INVALID / VEX_Vmovmskpd_r32_xmm VEX_Vmovmskpd_r32_ymm;
    TEST: INVALID INVALID INVALID / VEX_Vptest_xmm_xmmm128 VEX_Vptest_ymm_ymmm256;
}
