//! Draws schedules: uniformly over the domains, then repaired where the constraints are broken.
//!
//! Invariant: what is drawn is legal, the number of steps is bounded, and the same generator gives the same schedule.

use super::constraint::Site;
use super::domain::{steps, tiles};
use super::key::{Field, Key};
use super::limits::Exceeded;
use super::space::Point;
use super::{ChoiceValue, Config, Domain, Pack, Schedule, Space, chains, splits, streams};
use crate::base::AxisId;
use crate::target::TILE_ROWS;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// One stream in this many is drawn with a number of chunks: few streams gain from more than the default's.
const SPLIT_EVERY: u32 = 3;
/// Draws before the default schedule is given.
const DRAWS_MAX: usize = 8;
/// Points near the defaults that are tried when settings are fixed.
const NEAR_DEFAULT_MAX: usize = 512;
/// Neighbours that are tried.
const NEIGHBOURS_MAX: usize = 48;
/// Times that blocks are made smaller until the scratch fits.
const SHRINKS_MAX: usize = 64;
/// Operations in the inner loops, for a schedule and in addition for each of its passes, above which a drawn schedule is
/// made smaller: longer code takes long to compile and to fetch, and bodies this long hide every latency already.
const CODE_MAX: u64 = 576;
const CODE_MAX_PER_PASS: u64 = 48;

impl Space {
    /// A legal schedule drawn at random.
    pub fn sample(&self, rng: &mut impl Rng) -> Schedule {
        for _ in 0..DRAWS_MAX {
            let drawn = |(key, choice): (&Key, &super::Choice)| match key {
                Key::Pass(_, Field::Split(_)) if !rng.random_ratio(1, SPLIT_EVERY) => {
                    choice.default.clone()
                }
                _ => draw(&choice.domain, rng),
            };
            let point: Point = self.keys.iter().zip(&self.choices).map(drawn).collect();
            if let Some(point) = self.repaired(&point, rng) {
                return self.schedule(&point);
            }
        }
        self.default_schedule()
    }

    /// A legal schedule that differs from `schedule` in one to three choices. Where none is found, one that differs in
    /// more, or the schedule itself.
    pub fn neighbour(&self, schedule: &Schedule, rng: &mut impl Rng) -> Schedule {
        let point = self.point(schedule);
        let here = self.schedule(&point);
        let mut distant = None;
        for _ in 0..NEIGHBOURS_MAX {
            let mut moved = point.clone();
            let active = self.active(&self.config(&point));
            let indices: Vec<usize> = (0..moved.len()).filter(|&index| active[index]).collect();
            for _ in 0..rng.random_range(1..=2) {
                if let Some(&index) = indices.choose(rng) {
                    moved[index] = step(&self.choices[index].domain, &moved[index], rng);
                }
            }
            let Some(legal) = self.repaired(&moved, rng) else {
                continue;
            };
            let found = self.schedule(&legal);
            match here.diff(&found).len() {
                0 => {}
                1..=3 => return found,
                _ => distant = distant.or(Some(found)),
            }
        }
        distant.unwrap_or(here)
    }

    /// The nearest legal point that the repairs lead to.
    pub(super) fn repaired(&self, point: &[ChoiceValue], rng: &mut impl Rng) -> Option<Point> {
        let mut config = self.config(point);
        for _ in 0..SHRINKS_MAX {
            self.repair_passes(&mut config, rng);
            if !self.constraint_faults(&config).is_empty() {
                return None;
            }
            match self.write(&config) {
                Ok(_) => {
                    let value = |key: &Key| key.read(&config, &self.plan.axes);
                    let point: Point = self.keys.iter().map(value).collect();
                    return self.is_inside(&point).then_some(point);
                }
                Err(Exceeded::Group { .. }) => self.shrink(&mut config, rng),
                Err(Exceeded::Device { .. }) if splits::merge(&mut config) => {}
                Err(Exceeded::Device { .. }) if copy_in_blocks(&mut config) => {}
                Err(Exceeded::Device { .. }) => self.fuse_one(&mut config, rng),
            }
        }
        None
    }

    /// Whether every choice has a value of its domain; a repair may leave one that the caller narrowed.
    fn is_inside(&self, point: &[ChoiceValue]) -> bool {
        self.choices.iter().zip(point).all(|(choice, value)| choice.domain.contains(value))
    }

    /// A legal point near the defaults: the repairs lead to one, or they do after a few changes at random.
    pub(super) fn repaired_default(&self) -> Option<Point> {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let default = self.default_point();
        if self.realise_point(&default).is_ok() {
            return Some(default);
        }
        (0..NEAR_DEFAULT_MAX).find_map(|attempt| {
            let mut point = default.clone();
            for _ in 0..attempt.div_ceil(16).min(point.len()) {
                let index = rng.random_range(0..point.len());
                point[index] = step(&self.choices[index].domain, &point[index], &mut rng);
            }
            self.repaired(&point, &mut rng)
        })
    }

    /// Makes every pass obey its own rules, whatever the others choose.
    fn repair_passes(&self, config: &mut Config, rng: &mut impl Rng) {
        streams::repair(&self.plan, &self.shapes, config);
        for position in 0..config.passes.len() {
            self.repair_steps(position, config);
            self.repair_tiles(position, config, rng);
            self.repair_blocks(position, config);
            self.repair_rows(position, config);
            self.repair_vector(position, config);
            self.repair_packs(position, config);
        }
        self.repair_code(config);
    }

    fn site<T>(
        &self,
        position: usize,
        config: &Config,
        read: impl Fn(&Site<'_>) -> T,
    ) -> Option<T> {
        let phases = config.phases(&self.plan);
        let phase = phases.iter().find(|phase| phase.passes.contains(&position))?;
        Some(read(&Site {
            plan: &self.plan,
            position,
            shape: &self.shapes[position],
            config: &config.passes[position],
            all: config,
            phase,
            target: &self.target,
        }))
    }

    /// The pass that heads the phase, if the axis is one of its grid.
    fn grid_head(&self, position: usize, axis: AxisId, config: &Config) -> Option<usize> {
        let phases = config.phases(&self.plan);
        let phase = phases.into_iter().find(|phase| phase.passes.contains(&position))?;
        phase.grid.iter().any(|(of, _)| *of == axis).then_some(phase.head)
    }

    fn step_mut<'c>(
        &self,
        position: usize,
        axis: AxisId,
        config: &'c mut Config,
    ) -> Option<&'c mut u64> {
        match self.grid_head(position, axis, config) {
            Some(head) => config.passes[head].grid.get_mut(&axis),
            None => {
                let stepper = self.plan.stepper(position, axis);
                config.passes[stepper].block.get_mut(&axis)
            }
        }
    }

    /// Whole vectors in the step of the vector axis.
    fn repair_steps(&self, position: usize, config: &mut Config) {
        let Some(axis) = config.passes[position].vector else {
            return;
        };
        let (extent, lanes) = (self.plan.axes.extent(axis), self.shapes[position].lanes);
        let of_group = self.plan.passes[position].group.map(|group| &self.plan.groups[group]);
        if of_group.is_some_and(|stream| stream.contains(&axis)) {
            return;
        }
        if let Some(step) = self.step_mut(position, axis, config) {
            let whole =
                |&next: &u64| next >= *step && (next.is_multiple_of(lanes) || next >= extent);
            if let Some(next) = steps(extent).into_iter().find(whole) {
                *step = next;
            }
        }
    }

    /// A register tile that fits the steps and the registers.
    fn repair_tiles(&self, position: usize, config: &mut Config, rng: &mut impl Rng) {
        let axes: Vec<AxisId> = self.shapes[position].all_axes().collect();
        let mut tiled = vec![];
        for &axis in &axes {
            let facts = self.site(position, config, |site| {
                (site.tile(axis), site.tile_unit(axis), site.tile_max(axis))
            });
            let Some((tile, unit, most)) = facts else {
                return;
            };
            if !tile.is_multiple_of(unit) || tile > most {
                let legal = self.legal_tiles(position, axis, unit, most);
                let tile = legal.choose(rng).copied().unwrap_or(unit);
                config.passes[position].micro.insert(axis, tile);
            }
            if self.site(position, config, |site| site.tile(axis)).is_some_and(|tile| tile > 1) {
                tiled.push(axis);
            }
        }
        let vector = config.passes[position].vector;
        tiled.sort_by_key(|&axis| vector != Some(axis));
        for &axis in tiled.iter().skip(3) {
            config.passes[position].micro.insert(axis, 1);
        }
        self.fit_registers(position, config);
    }

    fn legal_tiles(&self, position: usize, axis: AxisId, unit: u64, most: u64) -> Vec<u64> {
        let shape = &self.shapes[position];
        let rows = shape.axes.contains(&axis);
        let tiles = tiles(self.plan.axes.extent(axis), shape.lanes, rows);
        tiles.into_iter().filter(|tile| tile.is_multiple_of(unit) && *tile <= most).collect()
    }

    fn fit_registers(&self, position: usize, config: &mut Config) {
        let wide = |site: &Site<'_>| {
            site.registers() > site.target.vector_registers && !site.is_smallest()
        };
        while self.site(position, config, wide) == Some(true) && self.shrink_tile(position, config)
        {
        }
    }

    /// Fewer copies, then smaller tiles, in the pass with the longest code until all of it is short enough.
    fn repair_code(&self, config: &mut Config) {
        loop {
            let phases = config.phases(&self.plan);
            let mut codes = self.with_sites(config, &phases, |site| (site.code(), site.position));
            let most = CODE_MAX + CODE_MAX_PER_PASS * codes.len() as u64;
            if codes.iter().fold(0, |all: u64, &(code, _)| all.saturating_add(code)) <= most {
                return;
            }
            codes.sort_unstable_by(|a, b| b.cmp(a));
            if !codes.iter().any(|&(_, position)| self.shorten(position, config)) {
                return;
            }
        }
    }

    fn shorten(&self, position: usize, config: &mut Config) -> bool {
        let pass = &mut config.passes[position];
        if pass.unroll > 1 && self.shapes[position].is_traversal() {
            pass.unroll /= 2;
            return true;
        }
        self.shrink_tile(position, config)
    }

    /// Makes the register tile smaller along the axis where it has most registers; `false` where it is smallest.
    fn shrink_tile(&self, position: usize, config: &mut Config) -> bool {
        let largest = self.site(position, config, |site| {
            let excess = |axis: &AxisId| site.tile(*axis) / site.tile_unit(*axis);
            let axis = site.shape.all_axes().max_by_key(excess)?;
            Some((axis, site.tile(axis), site.tile_unit(axis)))
        });
        let Some((axis, tile, unit)) = largest.flatten().filter(|(_, tile, unit)| tile > unit)
        else {
            return false;
        };
        let smaller = self.legal_tiles(position, axis, unit, tile - 1);
        let smaller = smaller.last().copied().unwrap_or(unit);
        config.passes[position].micro.insert(axis, smaller.min(tile - 1).max(1));
        true
    }

    /// Steps of the stream that make neither too many blocks nor too long ones.
    fn repair_blocks(&self, position: usize, config: &mut Config) {
        let shape = &self.shapes[position];
        if self.plan.is_streaming(&self.plan.passes[position]) {
            return;
        }
        chains::cut(&self.plan, shape, &mut config.passes[position]);
    }

    /// A tile along the vector axis no larger than its step.
    fn repair_vector(&self, position: usize, config: &mut Config) {
        if let Some(axis) = config.passes[position].vector {
            let most = self.site(position, config, |site| site.tile_max(axis)).unwrap_or(1);
            let tile = config.passes[position].micro[&axis];
            config.passes[position].micro.insert(axis, tile.min(most));
        }
    }

    /// Whole tiles of rows, and blocks of whole rows of tiles, where sums are in tile registers.
    fn repair_rows(&self, position: usize, config: &mut Config) {
        let found = self.site(position, config, |site| {
            let (rows, (axis, terms)) = site.tiles()?;
            Some((rows, site.step(rows), site.tile(rows), axis, site.step(axis), terms))
        });
        let Some((rows, step, tile, axis, block, terms)) = found.flatten() else { return };
        if !tile.is_multiple_of(TILE_ROWS) && tile < step {
            let legal = self.legal_tiles(position, rows, 1, step);
            let whole = |&tile: &u64| tile.is_multiple_of(TILE_ROWS) || tile == step;
            if let Some(tile) = legal.into_iter().find(whole) {
                config.passes[position].micro.insert(rows, tile);
            }
        }
        let extent = self.plan.axes.extent(axis);
        let whole = |&next: &u64| next >= block && (next.is_multiple_of(terms) || next >= extent);
        if let Some(step) = steps(extent).into_iter().find(whole) {
            config.passes[position].block.insert(axis, step);
        }
    }

    fn repair_packs(&self, position: usize, config: &mut Config) {
        let fits = self.site(position, config, |site| {
            (site.has_panel(Field::PackA), site.has_panel(Field::PackB), site.has_dots())
        });
        let (fits_a, fits_b, has_dots) = fits.unwrap_or((true, true, true));
        let pass = &mut config.passes[position];
        if pass.pack_b.is_grouped() && !(fits_b && has_dots) {
            pass.pack_b = Pack::Panel;
        }
        for (pack, fits) in [(&mut pass.pack_a, fits_a), (&mut pass.pack_b, fits_b)] {
            if *pack == Pack::Panel && !fits {
                *pack = Pack::Rows;
            }
        }
        if self.site(position, config, |site| site.is_copied_whole()) == Some(false) {
            config.passes[position].once_b = false;
        }
    }

    /// Halves the largest step of a grid; where all are 1, ends a phase earlier.
    fn shrink(&self, config: &mut Config, rng: &mut impl Rng) {
        let phases = config.phases(&self.plan);
        let steps_of = phases.iter().flat_map(|phase| {
            let larger = phase.grid.iter().filter(|&&(_, step)| step > 1);
            larger.map(move |&(axis, step)| (step, axis, phase))
        });
        let Some((step, axis, phase)) = steps_of.max_by_key(|&(step, axis, _)| (step, axis)) else {
            if streams::shorten(&self.plan, &self.shapes, config) {
                return;
            }
            return self.unfuse_one(config, rng);
        };
        let half = |next: &u64| *next <= step / 2;
        let smaller = steps(self.plan.axes.extent(axis)).into_iter().rfind(half).unwrap_or(1);
        for &pass in &phase.passes {
            if config.passes[pass].vector == Some(axis) && smaller < self.shapes[pass].lanes {
                config.passes[pass].vector = None;
            }
        }
        config.passes[phase.head].grid.insert(axis, smaller);
    }

    fn unfuse_one(&self, config: &mut Config, rng: &mut impl Rng) {
        let may_leave =
            |pass: usize| config.passes[pass].fused && self.plan.passes[pass].group.is_none();
        let fused = (0..config.passes.len()).filter(|&pass| may_leave(pass));
        if let Some(&pass) = fused.collect::<Vec<_>>().choose(rng) {
            config.passes[pass].fused = false;
        }
    }

    fn fuse_one(&self, config: &mut Config, rng: &mut impl Rng) {
        let stored = (0..config.passes.len()).filter(|&pass| config.passes[pass].stored).skip(1);
        let may_join = |&pass: &usize| !config.passes[pass].fused && !self.shapes[pass].alone;
        let alone = stored.filter(may_join);
        if let Some(&pass) = alone.collect::<Vec<_>>().choose(rng) {
            config.passes[pass].fused = true;
        }
    }
}

/// Copies no operand whole; whether any was.
fn copy_in_blocks(config: &mut Config) -> bool {
    let whole = config.passes.iter().any(|pass| pass.once_b);
    config.passes.iter_mut().for_each(|pass| pass.once_b = false);
    whole
}

fn draw(domain: &Domain, rng: &mut impl Rng) -> ChoiceValue {
    match domain {
        Domain::OneOf(values) => values.choose(rng).expect("a domain has its default").clone(),
        Domain::OrderOf(axes) => {
            let mut axes = axes.clone();
            axes.shuffle(rng);
            ChoiceValue::Words(axes)
        }
    }
}

/// Another value: mostly the next larger or smaller.
fn step(domain: &Domain, value: &ChoiceValue, rng: &mut impl Rng) -> ChoiceValue {
    match (domain, value) {
        (Domain::OneOf(values), ChoiceValue::Count(_)) if rng.random_bool(0.7) => {
            let mut values = values.clone();
            values.sort_unstable();
            let here = values.iter().position(|other| other == value).unwrap_or(0);
            let next = if rng.random_bool(0.5) { here + 1 } else { here.saturating_sub(1) };
            values.get(next).unwrap_or(value).clone()
        }
        (Domain::OrderOf(_), ChoiceValue::Words(words)) if words.len() > 1 => {
            let mut words = words.clone();
            let here = rng.random_range(0..words.len() - 1);
            words.swap(here, here + 1);
            ChoiceValue::Words(words)
        }
        _ => draw(domain, rng),
    }
}
