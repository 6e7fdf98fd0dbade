//! What operations of tile registers mean, one element after the other.
//!
//! Invariant: sums of bf16 are added in the order of the instruction, so that they have its bits.

use super::Machine;
use crate::wide::tiles::{TILE_ROW_BYTES, TILE_ROWS, Tile, TileOp, TileProduct};

/// Bytes of a tile.
const TILE_BYTES: usize = (TILE_ROWS * TILE_ROW_BYTES) as usize;
/// Words of a row: groups of a first factor, columns of a second one and of a sum.
const WORDS: usize = TILE_ROW_BYTES as usize / 4;
const ROWS: usize = TILE_ROWS as usize;

/// The bytes of a tile.
pub(super) type Rows = [u8; TILE_BYTES];

impl Machine<'_> {
    fn tile(&self, of: Tile) -> Result<Rows, String> {
        self.tiles[usize::from(of.0)].ok_or_else(|| format!("{of} is not assigned"))
    }

    pub(super) fn tile_op(&mut self, op: &TileOp) -> Result<(), String> {
        match *op {
            TileOp::Zero { to } => self.tiles[usize::from(to.0)] = Some([0; TILE_BYTES]),
            TileOp::Load { to, at, stride, .. } => {
                let (start, stride) = (self.address(at)?, self.scalar(stride)?);
                let mut rows = [0; TILE_BYTES];
                for (word, bytes) in rows.chunks_exact_mut(8).enumerate() {
                    let value = self.read(word_address(start, stride, word), 8)?;
                    bytes.copy_from_slice(&value.to_le_bytes());
                }
                self.tiles[usize::from(to.0)] = Some(rows);
            }
            TileOp::Store { from, at, stride } => {
                let (start, stride) = (self.address(at)?, self.scalar(stride)?);
                let rows = self.tile(from)?;
                for (word, bytes) in rows.chunks_exact(8).enumerate() {
                    let value = u64::from_le_bytes(bytes.try_into().expect("chunks of 8"));
                    self.write(word_address(start, stride, word), 8, value)?;
                }
            }
            TileOp::Add { of, to, x, y } => {
                let (mut sum, x, y) = (self.tile(to)?, self.tile(x)?, self.tile(y)?);
                for (row, column) in (0..ROWS).flat_map(|row| (0..WORDS).map(move |at| (row, at))) {
                    let groups = (0..WORDS).map(|k| (word(&x, row, k), word(&y, k, column)));
                    let so_far = word(&sum, row, column);
                    let value = match of {
                        TileProduct::Bf16 => add_bf16(so_far, groups),
                        TileProduct::Bytes { x_signed, y_signed } => {
                            add_bytes(so_far, groups, (x_signed, y_signed))
                        }
                    };
                    let at = 4 * (row * WORDS + column);
                    sum[at..at + 4].copy_from_slice(&value.to_le_bytes());
                }
                self.tiles[usize::from(to.0)] = Some(sum);
            }
        }
        Ok(())
    }
}

/// The address of 8 bytes of a tile.
fn word_address(start: u64, stride: i64, word: usize) -> u64 {
    let (row, inside) = (word / 8, word % 8);
    start.wrapping_add_signed(stride.wrapping_mul(row as i64)).wrapping_add(8 * inside as u64)
}

fn word(of: &Rows, row: usize, column: usize) -> u32 {
    let at = 4 * (row * WORDS + column);
    u32::from_le_bytes(of[at..at + 4].try_into().expect("a word has four bytes"))
}

fn add_bytes(
    so_far: u32,
    groups: impl Iterator<Item = (u32, u32)>,
    (x_signed, y_signed): (bool, bool),
) -> u32 {
    let number =
        |byte: u8, signed| if signed { i32::from(byte.cast_signed()) } else { i32::from(byte) };
    groups.fold(so_far, |sum, (x, y)| {
        let pairs = x.to_le_bytes().into_iter().zip(y.to_le_bytes());
        let products = pairs.map(|(x, y)| number(x, x_signed) * number(y, y_signed));
        products.fold(sum, |sum, product| sum.wrapping_add_signed(product))
    })
}

fn add_bf16(so_far: u32, groups: impl Iterator<Item = (u32, u32)>) -> u32 {
    let number = |bits: u32| normal(f32::from_bits(bits));
    let halves = |word: u32| [number(word << 16), number(word & 0xffff_0000)];
    let mut sums = [0_f32; 2];
    for (x, y) in groups {
        for ((sum, x), y) in sums.iter_mut().zip(halves(x)).zip(halves(y)) {
            *sum = normal(x.mul_add(y, *sum));
        }
    }
    normal(number(so_far) + normal(sums[0] + sums[1])).to_bits()
}

/// A number, zero of its sign if it is subnormal.
fn normal(x: f32) -> f32 {
    if x.is_subnormal() { 0_f32.copysign(x) } else { x }
}
