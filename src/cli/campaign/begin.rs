//! `campaign run FILE`: reads the file, makes its kernels ready and drives the campaign.
//!
//! Invariant: nothing is begun before every kernel of the file has been read and every setting is known.
use super::Face;
use crate::cli::failure::Failure;
use crate::cli::interrupt;
use crate::cli::memory;
use crate::cli::output::{Output, note};
use crate::cli::select::{AxisExtent, KernelArgs, Selected, Source};
use crate::cli::tune::{now_unix, setting};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tilewright::autotune::campaign::{
    BAD_FILE, CampaignFile, KernelEntry, LocalJob, LocalQueue, RunOptions, Summary, UNKNOWN,
    run as drive,
};
use tilewright::autotune::protocol::{
    Began, CampaignBudget, CampaignEvent, CampaignSpec, FORMAT_VERSION, JobSpec, LoggedEvent,
    TargetName,
};
use tilewright::autotune::store::{Store, Tail, default_path};
use tilewright::autotune::tune::{carried, ceilings, priors};
use tilewright::host;
use tilewright::ir::diag::Diagnostic;
use tilewright::ir::schedule::{Forms, Schedule, Setting, code};

/// Schedules of earlier runs that a search begins with.
const KNOWN: usize = 3;
/// Measuring the machine may take this long.
const CEILINGS: Duration = Duration::from_secs(30);

/// A kernel of the file, ready to be searched.
struct Ready {
    selected: Selected,
    forms: Forms,
    fixed: Vec<Setting>,
    forbidden: Vec<Setting>,
    share: f64,
}

pub(super) fn begin(path: &Path, output: &mut Output) -> Result<(), Failure> {
    let source = Source::read(path)?;
    let file = CampaignFile::parse(&source.text)
        .map_err(|fault| source.faults(tilewright::Error::Diagnostics(vec![fault])))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let ready: Vec<Ready> =
        file.kernel.iter().map(|entry| prepare(&file, entry, folder)).collect::<Result<_, _>>()?;
    check_forbidden(&file, &ready)?;
    let backend = ready.first().map_or(host::backend()?, |ready| ready.selected.bound.backend());
    let spec = CampaignSpec {
        format_version: FORMAT_VERSION,
        name: file.name.clone(),
        seed: file.seed,
        budget: CampaignBudget {
            evaluations: file.budget.evaluations,
            seconds: file.budget.seconds,
        },
        batch: file.policy.batch,
        machine: TargetName::new(backend.target()),
        compiler: backend.version(),
        jobs: ready.iter().map(job_spec).collect(),
    };
    let mut store = Store::open(&default_path()?)?;
    check_name(&store, &spec)?;
    let stop = interrupt::asks_to_stop();
    let known = ceilings(backend, &mut store, CEILINGS, now_unix(), stop)?;
    let seeds = ready.iter().map(|ready| seeds(&store, ready)).collect::<Result<_, _>>()?;
    let told = |ready: &Ready| priors(&store, &ready.selected.bound.task(), &ready.forms);
    let priors = ready.iter().map(told).collect::<Result<_, _>>()?;
    let jobs = ready.iter().map(|ready| LocalJob {
        graph: ready.selected.bound.graph(),
        backend: ready.selected.bound.backend(),
        task: ready.selected.bound.task(),
        fixed: ready.fixed.clone(),
        forbidden: ready.forbidden.clone(),
    });
    let ceilings = known.as_ref().map(|known| &known.ceilings);
    let own = Store::open(store.path())?;
    let work = (file.seed, file.policy.jobs);
    let mut queue = LocalQueue::new(jobs.collect(), own, ceilings, work, &now_unix, stop)?;
    let moves = ready.iter().map(|ready| ready.forms.clone()).collect();
    let options = RunOptions { now: &now_unix, stop };
    let began = Began { spec, seeds, priors };
    let before = store.tail(&began.spec.id())?.map_or(0, |tail| tail.events);
    if before > 0 {
        note(&format!("{}: going on, after reading {before} events again", began.spec.name));
    }
    let mut face = Face { output, summary: Summary::default(), before, broken: None };
    let mut see = |event: &LoggedEvent| {
        face.see(event);
        if face.broken.is_some() {
            stop.store(true, Ordering::SeqCst);
        }
    };
    let ended = drive(&mut store, began, moves, &mut queue, &options, &mut see)?;
    if let Some(error) = face.broken {
        return Err(error.into());
    }
    face.finish()?;
    if ended || !stop.load(Ordering::SeqCst) { Ok(()) } else { Err(Failure::Interrupted) }
}

fn prepare(file: &CampaignFile, entry: &KernelEntry, folder: &Path) -> Result<Ready, Failure> {
    let extent = |(axis, &extent): (&String, &u64)| AxisExtent { axis: axis.clone(), extent };
    let size = entry.size.iter().map(extent).collect();
    let kernel = entry.kernel.clone();
    let mut selected =
        KernelArgs::of(folder.join(&entry.file), kernel, entry.set.clone(), size).select()?;
    selected.bound.set_threads_max(file.policy.threads);
    memory::check_within(selected.bound.graph(), 3, file.policy.memory_mib)?;
    let read = |list: &[String]| -> Result<Vec<Setting>, Failure> {
        list.iter().map(|text| setting(text).map_err(Failure::Usage)).collect()
    };
    let (fixed, mut forbidden) = (read(&entry.fix)?, read(&file.policy.forbid)?);
    let mut forms = selected.bound.forms().clone();
    forms.fix(&fixed)?;
    // What this kernel does not know is forbidden to another one.
    forbidden.retain(|setting| knows(&forms, setting));
    forms.forbid(&forbidden)?;
    Ok(Ready { selected, forms, fixed, forbidden, share: entry.share })
}

/// Whether a kernel has a choice with such a value.
fn knows(forms: &Forms, setting: &Setting) -> bool {
    let tried = forms.clone().forbid(std::slice::from_ref(setting));
    let unknown = |fault: &Diagnostic| [code::FORM, code::UNKNOWN].contains(&fault.code);
    !tried.is_err_and(|faults| faults.iter().any(unknown))
}

/// Refuses a setting to forbid that no kernel knows.
fn check_forbidden(file: &CampaignFile, ready: &[Ready]) -> Result<(), Failure> {
    let known: Vec<String> = ready.iter().flat_map(|ready| texts(&ready.forbidden)).collect();
    for text in &file.policy.forbid {
        let wanted = texts(&[setting(text).map_err(Failure::Usage)?]);
        if !known.contains(&wanted[0]) {
            let message = "no kernel of the campaign knows a setting that is forbidden";
            return Err(Diagnostic::new(BAD_FILE, message)
                .found(text)
                .expected("CHOICE=VALUE as `tilewright space` lists them")
                .into());
        }
    }
    Ok(())
}

fn job_spec(ready: &Ready) -> JobSpec {
    let task = ready.selected.bound.task();
    JobSpec {
        kernel: ready.selected.name().to_string(),
        sizes: task.row().sizes.clone(),
        task: task.key(),
        share: ready.share,
        fixed: texts(&ready.fixed),
        forbidden: texts(&ready.forbidden),
    }
}

fn texts(settings: &[Setting]) -> Vec<String> {
    settings.iter().map(|setting| format!("{} = {}", setting.name, setting.value)).collect()
}

/// What is tried first: the default of each form, then what the store knows, of this task and of those nearest to it.
fn seeds(store: &Store, ready: &Ready) -> Result<Vec<String>, Failure> {
    let defaults = ready.forms.list().iter().map(|form| form.space.default_schedule().print());
    let known = store.fastest(&ready.selected.bound.task(), KNOWN)?;
    let known = known.into_iter().filter(|row| {
        Schedule::parse(&row.schedule).is_ok_and(|seed| ready.forms.check(&seed).is_ok())
    });
    let carried = carried(store, &ready.selected.bound.task(), &ready.forms)?;
    let carried = carried.iter().map(Schedule::print);
    Ok(defaults.chain(known.map(|row| row.schedule)).chain(carried).collect())
}

/// Refuses a file that was changed since its campaign began, on the same machine by the same program.
fn check_name(store: &Store, spec: &CampaignSpec) -> Result<(), Failure> {
    let id = spec.id();
    for row in store.campaigns()?.iter().filter(|row| row.name == spec.name) {
        if row.id == id {
            return Ok(());
        }
        let Some(CampaignEvent::Began(began)) = first(store, &row.id)? else { continue };
        if began.spec.machine == spec.machine && began.spec.compiler == spec.compiler {
            let message = format!("the campaign `{}` began with another file", spec.name);
            let help = "undo the change, give the campaign another name, or use `campaign steer`";
            return Err(Diagnostic::new(UNKNOWN, message)
                .found(id)
                .expected(row.id.clone())
                .help(help)
                .into());
        }
    }
    Ok(())
}

fn first(store: &Store, campaign: &str) -> Result<Option<CampaignEvent>, Failure> {
    let mut found = None;
    store.events_after(campaign, &Tail::start(campaign), &mut |event| {
        if event.sequence == 0 {
            found = event.event();
        }
        Ok(())
    })?;
    Ok(found)
}
