//! Operations of tile registers (AMX).
//!
//! All tiles are configured alike, as whole ones, where the function begins, and released where it ends: a thread whose
//! tiles are in use is slow to switch.
//! Invariant: between both no instruction changes the configuration.

use super::super::isa::Refusal;
use super::super::program::{Address, Scalar};
use super::super::tiles::{TILE_ROW_BYTES, TILE_ROWS, TILES, Tile, TileOp, TileProduct};
use super::Encoder;
use super::writer::{Arg, Memory, Under};
use iced_x86::code_asm::rcx;
use iced_x86::{Code, Register};

/// Where the bytes of rows and the numbers of rows begin in a configuration, and its length.
const ROW_BYTES_AT: usize = 16;
const ROWS_AT: usize = 48;
const CONFIGURATION_BYTES: usize = 64;

impl Encoder<'_> {
    /// Makes all tiles whole ones.
    pub(super) fn configure_tiles(&mut self) -> Result<(), Refusal> {
        let from = self.writer.constant(&configuration());
        self.writer.instruct(Code::VEX_Ldtilecfg_m512, &[Arg::Memory(from)], Under::All)
    }

    pub(super) fn release_tiles(&mut self) -> Result<(), Refusal> {
        self.writer.instruct(Code::VEX_Tilerelease, &[], Under::All)
    }

    pub(super) fn tile(&mut self, op: TileOp) -> Result<(), Refusal> {
        if !self.isa.has_tiles() {
            return Err(Refusal::Missing(self.isa, "tile registers".to_string()));
        }
        match op {
            TileOp::Zero { to } => {
                self.writer.instruct(Code::VEX_Tilezero_tmm, &[register(to)?], Under::All)
            }
            TileOp::Load { to, at, stride, once } => {
                let args = [register(to)?, self.rows(at, stride)?];
                let code = match once {
                    true => Code::VEX_Tileloaddt1_tmm_sibmem,
                    false => Code::VEX_Tileloadd_tmm_sibmem,
                };
                self.writer.instruct(code, &args, Under::All)
            }
            TileOp::Store { from, at, stride } => {
                let args = [self.rows(at, stride)?, register(from)?];
                self.writer.instruct(Code::VEX_Tilestored_sibmem_tmm, &args, Under::All)
            }
            TileOp::Add { of, to, x, y } => {
                if to == x || to == y || x == y {
                    let what = "a product of tiles that are not three".to_string();
                    return Err(Refusal::Malformed(what));
                }
                let args = [register(to)?, register(x)?, register(y)?];
                self.writer.instruct(product(of), &args, Under::All)
            }
        }
    }

    /// The rows of a tile in memory: the index register is not scaled and counts once for each row.
    fn rows(&mut self, at: Address, stride: Scalar) -> Result<Arg, Refusal> {
        let memory = self.address(at)?;
        let stride = self.read(stride, rcx)?;
        Ok(Arg::Memory(Memory { index: stride.into(), ..memory }))
    }
}

fn register(of: Tile) -> Result<Arg, Refusal> {
    match usize::from(of.0) < TILES {
        true => Ok(Arg::General(Register::TMM0 + u32::from(of.0))),
        false => Err(Refusal::Malformed(format!("there is no tile {of}"))),
    }
}

fn product(of: TileProduct) -> Code {
    match of {
        TileProduct::Bf16 => Code::VEX_Tdpbf16ps_tmm_tmm_tmm,
        TileProduct::Bytes { x_signed: true, y_signed: true } => Code::VEX_Tdpbssd_tmm_tmm_tmm,
        TileProduct::Bytes { x_signed: true, y_signed: false } => Code::VEX_Tdpbsud_tmm_tmm_tmm,
        TileProduct::Bytes { x_signed: false, y_signed: true } => Code::VEX_Tdpbusd_tmm_tmm_tmm,
        TileProduct::Bytes { x_signed: false, y_signed: false } => Code::VEX_Tdpbuud_tmm_tmm_tmm,
    }
}

/// Palette 1, all tiles whole.
fn configuration() -> [u8; CONFIGURATION_BYTES] {
    let mut bytes = [0; CONFIGURATION_BYTES];
    bytes[0] = 1;
    for tile in 0..TILES {
        bytes[ROW_BYTES_AT + 2 * tile] = TILE_ROW_BYTES as u8;
        bytes[ROWS_AT + tile] = TILE_ROWS as u8;
    }
    bytes
}
