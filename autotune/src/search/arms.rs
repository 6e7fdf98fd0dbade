//! Which way of proposing comes next: a bandit over them.
//!
//! Each way earns by the share of its proposals that became one of the best, and the less it was tried lately, the more it
//! is trusted (Auer, Cesa-Bianchi, Fischer, 2002; discounted as by Garivier and Moulines, 2011, since what finds
//! improvements early does not find them late). Invariant: the choice hangs on the order of outcomes alone.

/// A way of proposing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Arm {
    /// What the model ranks first among neighbours and random schedules.
    Model,
    /// A neighbour of one of the best.
    Near,
    /// Two of the best, mixed.
    Mixed,
    /// Anything.
    Far,
}

impl Arm {
    const ALL: [Self; 4] = [Self::Model, Self::Near, Self::Mixed, Self::Far];
}

/// What is kept of an earlier outcome with each later one.
const KEPT: f64 = 0.96;
/// How much a way is trusted that was tried little.
const TRUST: f64 = 0.25;
/// What each way begins with: tries, and gains of them.
const START: [(f64, f64); 4] = [(2.0, 1.2), (2.0, 0.8), (2.0, 0.4), (2.0, 0.2)];

/// Tries and gains of each way, the latest counting most.
#[derive(Clone, Debug)]
pub(super) struct Arms {
    known: [(f64, f64); 4],
    /// Proposals whose outcomes are not known yet count as tries.
    waiting: [f64; 4],
}

impl Default for Arms {
    fn default() -> Self {
        Self { known: START, waiting: [0.0; 4] }
    }
}

impl Arms {
    /// The way to propose next; from now on it has a proposal whose outcome is not known.
    pub(super) fn next(&mut self) -> Arm {
        let all: f64 = self.tries().iter().sum();
        let worth = |index: usize| {
            let tries = self.tries()[index];
            self.known[index].1 / tries + TRUST * (all.ln() / tries).sqrt()
        };
        let best =
            (0..4).max_by(|&one, &other| worth(one).total_cmp(&worth(other)).then(other.cmp(&one)));
        let best = best.expect("there are four ways");
        self.waiting[best] += 1.0;
        Arm::ALL[best]
    }

    /// Notes an outcome: whether the proposal became one of the best.
    pub(super) fn learn(&mut self, arm: Arm, gained: bool) {
        let index = Arm::ALL.iter().position(|of| *of == arm).expect("every way is listed");
        self.known.iter_mut().for_each(|(tries, gains)| {
            *tries *= KEPT;
            *gains *= KEPT;
        });
        self.known[index].0 += 1.0;
        self.known[index].1 += f64::from(u8::from(gained));
        self.waiting[index] = (self.waiting[index] - 1.0).max(0.0);
    }

    fn tries(&self) -> [f64; 4] {
        std::array::from_fn(|index| self.known[index].0 + self.waiting[index])
    }
}

#[cfg(test)]
mod tests {
    use super::{Arm, Arms};

    #[test]
    fn what_gains_is_chosen_most_and_nothing_is_forgotten() {
        let mut arms = Arms::default();
        let mut counts = [0; 4];
        for _ in 0..200 {
            let arm = arms.next();
            counts[arm as usize] += 1;
            arms.learn(arm, arm == Arm::Mixed);
        }
        assert!(counts[Arm::Mixed as usize] > 100, "{counts:?}");
        assert!(counts.iter().all(|&count| count >= 3), "{counts:?}");
    }
}
