//! The judge of a foreign candidate: tiers, layouts, and what it says at the end.
//!
//! The first tier takes two families of inputs and arrays that end where their memory ends; the second takes all families,
//! arrays that begin where their memory begins and those that the clock uses, a single changed element, and many calls.
//! Every layout has a process of its own. Invariant: a candidate is rejected by the first fault, and told which tier
//! it passed before.

use super::{Judge, Rejection};
use crate::launch::{Layout, Library, Loading, Session, SessionOptions, Shape};

/// How far a candidate is to be judged, or has come. Of our own code the first tier takes all families in the clock's layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Two families in one layout: enough to go on with.
    First,
    /// Everything: enough to be shown as a result.
    Second,
}

impl Tier {
    /// 1 or 2.
    pub fn number(self) -> u8 {
        match self {
            Self::First => 1,
            Self::Second => 2,
        }
    }
}

/// What a candidate that passed has shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The largest error over all elements and cases, as a fraction of what is allowed.
    pub worst_ratio: f64,
    /// The bytes of workspace that it asks for.
    pub workspace_bytes: u64,
    /// The fastest call seen, in nanoseconds, doorbell included.
    pub call_ns_min: f64,
}

/// What the judge says.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The highest tier passed.
    pub tier: Option<Tier>,
    /// The standing, or why it was rejected.
    pub outcome: Result<Standing, Rejection>,
}

/// Judges a library up to a tier.
pub fn judge_library(
    judge: &mut Judge<'_>,
    library: &Library,
    wanted: Tier,
    options: &SessionOptions,
) -> Judgement {
    let mut trial = Trial::new(judge, library, options);
    let outcome = trial.first().and_then(|mut session| {
        trial.tier = Some(Tier::First);
        if wanted == Tier::Second {
            trial.second(&mut session)?;
            trial.tier = Some(Tier::Second);
        }
        Ok(())
    });
    Judgement { tier: trial.tier, outcome: outcome.map(|()| trial.standing) }
}

/// Arrays of each kind in the last of the layouts.
const SLOTS: usize = 3;

struct Trial<'a, 'g> {
    judge: &'a mut Judge<'g>,
    library: &'a Library,
    shape: Shape,
    options: SessionOptions,
    standing: Standing,
    tier: Option<Tier>,
}

impl<'a, 'g> Trial<'a, 'g> {
    fn new(judge: &'a mut Judge<'g>, library: &'a Library, options: &SessionOptions) -> Self {
        let shape = Shape::of(judge.graph);
        // One slot, so that new data comes to the same place.
        let options = SessionOptions { slots: 1, threads: 1, ..options.clone() };
        let standing =
            Standing { worst_ratio: 0.0, workspace_bytes: 0, call_ns_min: f64::INFINITY };
        Self { judge, library, shape, options, standing, tier: None }
    }

    fn session(&self, layout: Layout) -> Result<Session, Rejection> {
        let loading = Loading { layout, workspace_bytes: self.standing.workspace_bytes };
        let session = Session::load(self.library, &self.shape, loading, &self.options)?;
        let (wanted, had) = (session.workspace_wanted(), self.standing.workspace_bytes);
        if had > 0 && wanted != had {
            let evidence = format!("it asked for {had} bytes of workspace, then for {wanted}");
            return Err(Rejection::new("nondeterministic", evidence));
        }
        Ok(session)
    }

    fn first(&mut self) -> Result<Session, Rejection> {
        let mut session = self.session(Layout::Right)?;
        if session.workspace_wanted() > 0 {
            self.standing.workspace_bytes = session.workspace_wanted();
            session = self.session(Layout::Right)?;
        }
        let passed = self.judge.check_first(&mut session)?;
        self.note(passed.worst_ratio, passed.call_ns_min());
        Ok(session)
    }

    /// Goes on with the session of the first tier.
    fn second(&mut self, session: &mut Session) -> Result<(), Rejection> {
        self.judge.widen();
        self.check_all(session)?;
        for layout in [Layout::Left, Layout::Usual] {
            let mut session = self.session(layout)?;
            let checked = self.check_all(&mut session);
            checked.map_err(|rejection| rejection.in_layout(layout.name()))?;
        }
        self.several()
    }

    /// Judges it with several arrays of each kind, as the clock has them.
    fn several(&mut self) -> Result<(), Rejection> {
        let options = SessionOptions { slots: SLOTS, ..self.options.clone() };
        let loading =
            Loading { layout: Layout::Usual, workspace_bytes: self.standing.workspace_bytes };
        let mut session = Session::load(self.library, &self.shape, loading, &options)?;
        let worst_ratio = self.judge.check_slots(&mut session)?;
        self.note(worst_ratio, f64::INFINITY);
        Ok(())
    }

    fn check_all(&mut self, session: &mut Session) -> Result<(), Rejection> {
        let seen = self.judge.check_all(session)?;
        self.note(seen.worst_ratio, seen.call_ns_min);
        Ok(())
    }

    fn note(&mut self, worst_ratio: f64, call_ns_min: f64) {
        let standing = &mut self.standing;
        standing.worst_ratio = standing.worst_ratio.max(worst_ratio);
        standing.call_ns_min = standing.call_ns_min.min(call_ns_min);
    }
}
