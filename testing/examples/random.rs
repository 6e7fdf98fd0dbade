//! The property test of the root package as a program: `random FIRST COUNT` draws so many files from that seed on.

use tilewright_testing::Campaign;

#[expect(clippy::print_stdout, reason = "an example prints what it found")]
fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|word| word.parse::<u64>().ok());
    let (first, count) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1000));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let seeds = first..first + count;
    let (tally, faults) = Campaign { seeds, threads, shrinks: true, traces: false }.run();
    println!("{tally}\n{} faults", faults.len());
}
