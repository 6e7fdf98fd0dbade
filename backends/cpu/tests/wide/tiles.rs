//! Products of tiles, against the interpreter and against sums of their own.

use crate::call::{Code, Guarded};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;
use tilewright_cpu::wide::interpret::{Region, interpret};
use tilewright_cpu::wide::program::{Address, Leaf, Node, Op, Scalar};
use tilewright_cpu::wide::tiles::{Tile, TileOp, TileProduct};
use tilewright_cpu::wide::{Isa, Refusal, encode};

/// Bytes of a tile whose rows lie behind each other.
const BYTES: usize = 1024;

/// `out = z + x y`, and `z` again behind it; the rows of y lie twice as far apart.
fn leaf(of: TileProduct) -> Leaf {
    let [base, out, near, far] = [0, 1, 2, 3].map(Scalar);
    let at = |base, displacement| Address { base, displacement };
    let load = |tile, displacement, stride| TileOp::Load {
        to: Tile(tile),
        at: at(base, displacement),
        stride,
        once: tile == 1,
    };
    let tiles = [
        load(0, 0, near),
        load(1, 1024, far),
        load(7, 3072, near),
        load(3, 3072, near),
        TileOp::Add { of, to: Tile(7), x: Tile(0), y: Tile(1) },
        TileOp::Store { from: Tile(7), at: at(out, 0), stride: near },
        TileOp::Zero { to: Tile(7) },
        TileOp::Add { of, to: Tile(3), x: Tile(7), y: Tile(1) },
        TileOp::Store { from: Tile(3), at: at(out, 1024), stride: near },
    ];
    let scalars = [
        Op::Frame { to: base, word: 0 },
        Op::Frame { to: out, word: 1 },
        Op::Set { to: near, value: 64 },
        Op::Set { to: far, value: 128 },
    ];
    let ops = scalars.into_iter().chain(tiles.map(Op::Tile));
    Leaf {
        name: "tiles".to_string(),
        lanes: 16,
        constants: vec![],
        body: ops.map(Node::Op).collect(),
        vectors: 0,
        predicates: 0,
        scalars: 4,
    }
}

/// Bits of elements: any bytes, or bf16 with all kinds of roundings and some that are no numbers.
fn elements(rng: &mut ChaCha8Rng, of: TileProduct, bytes: usize, special: bool) -> Vec<u8> {
    match of {
        TileProduct::Bytes { .. } => (0..bytes).map(|_| rng.random()).collect(),
        TileProduct::Bf16 => {
            let element = |rng: &mut ChaCha8Rng| match special && rng.random_bool(0.02) {
                true => rng.random::<u16>(),
                false => {
                    let exponent = rng.random_range(115..135_u16);
                    rng.random::<u16>() & 0x807f | exponent << 7
                }
            };
            (0..bytes / 2).flat_map(|_| element(rng).to_le_bytes()).collect()
        }
    }
}

/// The tile that a product of bytes is added to, by the definition.
fn sums(x: &[u8], y: &[u8], z: &[u8], (x_signed, y_signed): (bool, bool)) -> Vec<u8> {
    let number = |byte: u8, signed| if signed { i64::from(byte as i8) } else { i64::from(byte) };
    let word = |place: usize| {
        let (row, column) = (place / 16, place % 16);
        let product = |k: usize| {
            let y = y[128 * (k / 4) + 4 * column + k % 4];
            number(x[64 * row + k], x_signed) * number(y, y_signed)
        };
        let z = i32::from_le_bytes(
            z[4 * place..4 * place + 4].try_into().expect("a word has four bytes"),
        );
        ((0..64).map(product).sum::<i64>() + i64::from(z)) as u32
    };
    (0..256).flat_map(|place| word(place).to_le_bytes()).collect()
}

/// Whether words are the same, where what is no number may have any bits.
fn agree(found: &[u8], expected: &[u8]) -> bool {
    let words = |bytes: &[u8]| -> Vec<u32> {
        bytes
            .chunks_exact(4)
            .map(|word| u32::from_le_bytes(word.try_into().expect("a word has four bytes")))
            .collect()
    };
    let nan = |word: u32| f32::from_bits(word).is_nan();
    words(found).iter().zip(words(expected)).all(|(&x, y)| x == y || nan(x) && nan(y))
}

#[test]
fn products_of_tiles() {
    for of in TileProduct::ALL {
        let leaf = leaf(of);
        let code = encode(&leaf, Isa::Avx512Amx).expect("tiles need no allocation");
        for seed in 0..20 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut input = elements(&mut rng, of, 3 * BYTES, seed % 2 == 1);
            let sum = |rng: &mut ChaCha8Rng| match of {
                TileProduct::Bf16 => (rng.random_range(-9.0..9.0_f32)).to_bits(),
                TileProduct::Bytes { .. } => rng.random(),
            };
            input.extend((0..BYTES / 4).flat_map(|_| sum(&mut rng).to_le_bytes()));
            let output = vec![0; 2 * BYTES];
            let mut regions = vec![
                Region { start: 4096, bytes: input.clone() },
                Region { start: 9000, bytes: output.clone() },
            ];
            interpret(&leaf, &[4096, 9000], &mut regions).expect("both regions hold all");
            let meant = &regions[1].bytes;
            if let TileProduct::Bytes { x_signed, y_signed } = of {
                let parts = (&input[..BYTES], &input[BYTES..3 * BYTES], &input[3 * BYTES..]);
                assert_eq!(meant[..BYTES], sums(parts.0, parts.1, parts.2, (x_signed, y_signed)));
            }
            if Isa::Avx512Amx.detected() {
                let (from, to) = (Guarded::new(&input, true), Guarded::new(&output, true));
                Code::new(&code).call(&[from.address(), to.address()]);
                assert!(agree(&to.contents(), meant), "{of}, seed {seed}");
            }
        }
    }
}

#[test]
fn other_sets_have_no_tiles() {
    let refused = encode(&leaf(TileProduct::Bf16), Isa::Avx512Bf16);
    assert!(matches!(refused, Err(Refusal::Missing(..))), "{refused:?}");
}
