//! The loop that drives a campaign: read what is new, commit what is due, have work done, commit what came of it.
//!
//! Invariants: an event is acted on only after it was committed and in the order of the chain; one process drives a
//! campaign at a time, while anyone may add words from outside.

use super::HELD;
use super::ledger::Ledger;
use super::queue::{Done, Evaluated, Queue, Work};
use crate::protocol::{Began, CampaignEvent, Finished, LoggedEvent};
use crate::search::Moves;
use crate::store::{NewEvent, Store, Tail};
use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use tilewright_ir::diag::Diagnostic;

/// What the caller of `run` brings.
pub struct RunOptions<'a> {
    /// The calendar: seconds since the Unix epoch.
    pub now: &'a dyn Fn() -> u64,
    /// Ends the run at the next event when it is raised; the campaign may be resumed.
    pub stop: &'a AtomicBool,
}

impl fmt::Debug for RunOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunOptions").finish_non_exhaustive()
    }
}

/// Begins a campaign or goes on with it, until it ends or is stopped. The observer sees each event of the chain, old ones
/// first. Returns whether it has ended.
///
/// # Errors
/// The store's and the queue's; `TW0821` if another process drives it, `TW0822` if the log does not follow from itself.
pub fn run<M: Moves>(
    store: &mut Store,
    began: Began,
    moves: Vec<M>,
    queue: &mut dyn Queue,
    options: &RunOptions<'_>,
    observer: &mut dyn FnMut(&LoggedEvent),
) -> Result<bool, Diagnostic> {
    let campaign = began.spec.id();
    let _lock = Lock::take(store.path(), &campaign)?;
    let tail = Tail::start(&campaign);
    if store.tail(&campaign)?.is_none() {
        let began = CampaignEvent::Began(began);
        // Of two that begin at once, one finds the other's first event below.
        store.append(&campaign, &tail, (options.now)(), vec![began.into()])?;
    }
    // A pause that somebody asks for from here on is meant for this process, though it comes while the log is read.
    let known = store.tail(&campaign)?.map_or(0, |tail| tail.events);
    let mut driver = Driver {
        known,
        is_paused: false,
        store,
        ledger: Ledger::new(moves),
        queue,
        options,
        observer,
        campaign,
        tail,
        is_replay: true,
        handed: 0,
    };
    driver.catch_up()?;
    driver.is_replay = false;
    while !driver.ledger.state().is_ended() && !driver.is_paused {
        if driver.commit(vec![CampaignEvent::Opened.into()])? {
            break;
        }
        driver.catch_up()?;
    }
    if !driver.is_paused {
        driver.drive()?;
    }
    Ok(driver.ledger.state().is_ended())
}

struct Driver<'a, M> {
    store: &'a mut Store,
    ledger: Ledger<M>,
    queue: &'a mut dyn Queue,
    options: &'a RunOptions<'a>,
    observer: &'a mut dyn FnMut(&LoggedEvent),
    campaign: String,
    tail: Tail,
    is_replay: bool,
    /// Events before this process, and whether somebody asked for a pause since and before it opened the campaign.
    known: u64,
    is_paused: bool,
    /// How much of the ledger's work the queue has: the first so many are with it.
    handed: usize,
}

impl<M: Moves> Driver<'_, M> {
    fn drive(&mut self) -> Result<(), Diagnostic> {
        loop {
            self.catch_up()?;
            if self.options.stop.load(Ordering::Relaxed) || self.ledger.state().is_stopped() {
                return Ok(());
            }
            let due: Vec<_> = self.ledger.due().cloned().map(NewEvent::from).collect();
            if !due.is_empty() {
                self.commit(due)?;
            } else if !self.ledger.work().is_empty() {
                self.work()?;
            } else {
                return Ok(());
            }
        }
    }

    /// Hands over the work that the queue does not have yet, and commits what it has done.
    fn work(&mut self) -> Result<(), Diagnostic> {
        let fresh: Vec<Work> = self.ledger.work()[self.handed..].to_vec();
        if !fresh.is_empty() {
            self.handed += fresh.len();
            self.queue.put(fresh)?;
        }
        let event = match self.queue.take()? {
            Done::Evaluated(evaluated) => finished(*evaluated),
            Done::Confirmed(confirmed) => CampaignEvent::Confirmed(confirmed).into(),
        };
        // Somebody may have added a word meanwhile, which goes before it.
        while !self.commit(vec![event.clone()])? {
            self.catch_up()?;
        }
        Ok(())
    }

    /// Commits events and lets the ledger see them. `false`: others were there first; then nothing is done.
    fn commit(&mut self, events: Vec<NewEvent>) -> Result<bool, Diagnostic> {
        let now = (self.options.now)();
        let Some(added) = self.store.append(&self.campaign, &self.tail, now, events)? else {
            return Ok(false);
        };
        for event in added {
            self.tail = Tail { events: event.sequence + 1, hash: event.hash.clone() };
            let handed = &mut self.handed;
            see(&mut self.ledger, self.queue, self.observer, &event, handed)?;
        }
        Ok(true)
    }

    /// Sees what others have added.
    fn catch_up(&mut self) -> Result<(), Diagnostic> {
        let Self { ledger, queue, observer, is_replay, handed, campaign, known, is_paused, .. } =
            self;
        let mut visit = |event: LoggedEvent| {
            let from_outside = event.event().is_some_and(|event| event.is_from_outside());
            if !*is_replay && !from_outside {
                return Err(held(campaign));
            }
            let is_stop = matches!(event.event(), Some(CampaignEvent::Stopped));
            *is_paused |= is_stop && event.sequence >= *known;
            see(ledger, *queue, *observer, &event, handed)
        };
        self.tail = self.store.events_after(campaign, &self.tail, &mut visit)?;
        Ok(())
    }
}

fn see<M: Moves>(
    ledger: &mut Ledger<M>,
    queue: &mut dyn Queue,
    observer: &mut dyn FnMut(&LoggedEvent),
    logged: &LoggedEvent,
    handed: &mut usize,
) -> Result<(), Diagnostic> {
    let Some(event) = logged.event() else {
        let message = format!("this version does not know the event {}", logged.data);
        return Err(Diagnostic::new(super::DIVERGED, message).help("use the newer program"));
    };
    ledger.see(&event)?;
    match &event {
        CampaignEvent::Finished(finished) => {
            queue.learn(finished);
            *handed = handed.saturating_sub(1);
        }
        CampaignEvent::Confirmed(_) => *handed = handed.saturating_sub(1),
        _ => {}
    }
    observer(logged);
    Ok(())
}

fn finished(evaluated: Evaluated) -> NewEvent {
    let Evaluated { job, index, task, record, first_ns, image, seconds } = evaluated;
    let finished = Finished {
        job,
        index,
        record: String::new(),
        reason: record.reason.clone(),
        time_ns: record.time_ns,
        first_ns,
        worst_ratio: record.worst_ratio,
        image,
        seconds,
    };
    NewEvent { event: CampaignEvent::Finished(finished), evaluation: Some((task, record)) }
}

/// A lock beside the store that ends with the process, however that ends.
#[derive(Debug)]
struct Lock {
    file: Option<(File, PathBuf)>,
}

impl Lock {
    fn take(store: &Path, campaign: &str) -> Result<Self, Diagnostic> {
        if store == Path::new(":memory:") {
            return Ok(Self { file: None });
        }
        let mut path = store.as_os_str().to_os_string();
        path.push(format!("-campaign-{}.lock", &campaign[..12]));
        let path = PathBuf::from(path);
        let fail = |error: std::io::Error| {
            let message = format!("cannot lock {}: {error}", path.display());
            Diagnostic::new(crate::store::CANNOT_OPEN, message)
                .help("allow writing to the folder of the store")
        };
        let file = File::options().create(true).append(true).open(&path).map_err(fail)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file: Some((file, path)) }),
            Err(TryLockError::WouldBlock) => Err(held(campaign)),
            Err(TryLockError::Error(error)) => Err(fail(error)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some((_, path)) = &self.file {
            // A leftover file locks nobody out.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn held(campaign: &str) -> Diagnostic {
    Diagnostic::new(HELD, format!("another process drives campaign {campaign}"))
        .help("`campaign status` shows how far it is; `campaign stop` pauses it")
}
