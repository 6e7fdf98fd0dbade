//! Filters over system calls, as programs of the kernel's packet filter.
//!
//! Invariant: a call that no rule names, or that comes from another architecture, is not made.

/// What becomes of a call.
const ALLOW: u32 = 0x7fff_0000;
const ERROR: u32 = 0x0005_0000;
const KILL_PROCESS: u32 = 0x8000_0000;

/// The error of a call that is not made, `ENOSYS`: libraries go on with another one.
const NO_SUCH_CALL: u32 = 38;

const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_ABOVE: u16 = 0x25;
const JUMP_IF_ANY_SET: u16 = 0x45;
const RETURN: u16 = 0x06;

/// Where the kernel shows the number of the call, the architecture and the arguments.
const NUMBER_AT: u32 = 0;
const MACHINE_AT: u32 = 4;
const ARGUMENTS_AT: u32 = 16;

#[cfg(target_arch = "x86_64")]
const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCHITECTURE: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCHITECTURE: u32 = 0xc000_00f3;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "riscv64")))]
const ARCHITECTURE: u32 = 0;

/// What an argument of a call has to be. The first number is its position.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// No bit of the mask is set in the low half.
    Clear(u32, u32),
    /// All of the one bit of the mask are set in the low half.
    Set(u32, u32),
    /// The low half is one of these.
    OneOf(u32, Vec<u32>),
    /// The whole argument is this.
    Is(u32, u64),
    /// The high half is above this.
    Above(u32, u32),
    /// As `Above`, or the whole argument is 0.
    NoneOrAbove(u32, u32),
    /// The high half is below this.
    Below(u32, u32),
}

/// A call that may be made.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) number: i64,
    pub(super) tests: Vec<Test>,
}

/// A call that may be made with any arguments.
pub(super) fn any(number: i64) -> Rule {
    Rule { number, tests: vec![] }
}

/// What becomes of a call that no rule permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Otherwise {
    /// The process dies with `SIGSYS`.
    Kill,
    /// The call fails with `ENOSYS`.
    Fail,
}

/// One instruction as the word that the kernel reads.
fn step(code: u16, if_true: u8, if_false: u8, value: u32) -> u64 {
    let word = u64::from(code) | u64::from(if_true) << 16 | u64::from(if_false) << 24;
    word | u64::from(value) << 32
}

fn low(argument: u32) -> u64 {
    step(LOAD, 0, 0, ARGUMENTS_AT + 8 * argument)
}

fn high(argument: u32) -> u64 {
    step(LOAD, 0, 0, ARGUMENTS_AT + 8 * argument + 4)
}

/// The instructions of a filter.
pub(super) fn assemble(rules: &[Rule], otherwise: Otherwise) -> Vec<u64> {
    let refuse = match otherwise {
        Otherwise::Kill => step(RETURN, 0, 0, KILL_PROCESS),
        Otherwise::Fail => step(RETURN, 0, 0, ERROR | NO_SUCH_CALL),
    };
    let mut program = vec![
        step(LOAD, 0, 0, MACHINE_AT),
        step(JUMP_IF_EQUAL, 1, 0, ARCHITECTURE),
        step(RETURN, 0, 0, KILL_PROCESS),
        step(LOAD, 0, 0, NUMBER_AT),
    ];
    for rule in rules {
        let mut body: Vec<u64> =
            rule.tests.iter().flat_map(|test| instructions(test, refuse)).collect();
        body.push(step(RETURN, 0, 0, ALLOW));
        program.push(step(JUMP_IF_EQUAL, 0, body.len() as u8, rule.number as u32));
        program.extend(body);
    }
    program.push(refuse);
    program
}

/// Goes on behind the last of these if the test holds.
fn instructions(test: &Test, refuse: u64) -> Vec<u64> {
    match test {
        Test::Clear(argument, mask) => {
            vec![low(*argument), step(JUMP_IF_ANY_SET, 0, 1, *mask), refuse]
        }
        Test::Set(argument, mask) => {
            vec![low(*argument), step(JUMP_IF_ANY_SET, 1, 0, *mask), refuse]
        }
        Test::OneOf(argument, values) => {
            let count = values.len() as u8;
            let jumps = (0..count).zip(values);
            let jumps = jumps.map(|(index, value)| step(JUMP_IF_EQUAL, count - index, 0, *value));
            [low(*argument)].into_iter().chain(jumps).chain([refuse]).collect()
        }
        Test::Is(argument, value) => vec![
            low(*argument),
            step(JUMP_IF_EQUAL, 1, 0, *value as u32),
            refuse,
            high(*argument),
            step(JUMP_IF_EQUAL, 1, 0, (*value >> 32) as u32),
            refuse,
        ],
        Test::Above(argument, bound) => {
            vec![high(*argument), step(JUMP_IF_ABOVE, 1, 0, *bound), refuse]
        }
        Test::NoneOrAbove(argument, bound) => vec![
            high(*argument),
            step(JUMP_IF_ABOVE, 4, 0, *bound),
            step(JUMP_IF_EQUAL, 0, 2, 0),
            low(*argument),
            step(JUMP_IF_EQUAL, 1, 0, 0),
            refuse,
        ],
        Test::Below(argument, bound) => {
            vec![high(*argument), step(JUMP_IF_ABOVE, 0, 1, bound.saturating_sub(1)), refuse]
        }
    }
}

/// A program at an address, as the kernel takes it: a count, a pointer, the instructions behind it.
pub(super) fn at_address(instructions: &[u64], address: u64) -> Vec<u64> {
    let head = [instructions.len() as u64, address + 16];
    head.into_iter().chain(instructions.iter().copied()).collect()
}
