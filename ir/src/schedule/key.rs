//! What each choice decides: the link between the names in a schedule and the fields of a `Config`.
//!
//! Invariant: `write(key, read(key))` changes nothing, for every key of a plan.

use super::forms::{FORM, WRITTEN};
use super::{ChoiceValue, Config, Pack};
use crate::base::{AxisId, AxisTable};
use crate::plan::PassProgram;

/// What a choice decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Which form of the kernel the plan is of; a space has one form, so there is nothing to decide.
    Form,
    Threads,
    Pass(usize, Field),
}

/// A choice of one pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Store,
    Fuse,
    Grid(AxisId),
    GridOrder,
    Block(AxisId),
    Split(AxisId),
    Vector,
    Micro(AxisId),
    Unroll,
    Fetch,
    Ahead,
    Stores,
    Order,
    PackA,
    PackB,
    CopyB,
    Keep,
}

impl Key {
    /// The name in a schedule.
    pub(super) fn name(self, plan: &PassProgram) -> String {
        let (pass, field) = match self {
            Self::Form => return FORM.to_string(),
            Self::Threads => return "threads".to_string(),
            Self::Pass(pass, field) => (pass, field),
        };
        let axis = |axis: AxisId| plan.axes.name(axis).to_string();
        let field = match field {
            Field::Store => "store".to_string(),
            Field::Fuse => "fuse".to_string(),
            Field::Grid(of) => format!("grid.{}", axis(of)),
            Field::GridOrder => "grid.order".to_string(),
            Field::Block(of) => format!("block.{}", axis(of)),
            Field::Split(of) => format!("split.{}", axis(of)),
            Field::Vector => "vector".to_string(),
            Field::Micro(of) => format!("micro.{}", axis(of)),
            Field::Unroll => "unroll".to_string(),
            Field::Fetch => "fetch".to_string(),
            Field::Ahead => "ahead".to_string(),
            Field::Stores => "stores".to_string(),
            Field::Order => "order".to_string(),
            Field::PackA => "pack_a".to_string(),
            Field::PackB => "pack_b".to_string(),
            Field::CopyB => "copy_b".to_string(),
            Field::Keep => "keep".to_string(),
        };
        format!("{}.{field}", plan.passes[pass].name)
    }

    /// The value that a configuration has.
    pub(super) fn read(self, config: &Config, axes: &AxisTable) -> ChoiceValue {
        let (pass, field) = match self {
            Self::Form => return word(config.form.as_deref().unwrap_or(WRITTEN)),
            Self::Threads => return ChoiceValue::Count(config.threads),
            Self::Pass(pass, field) => (pass, field),
        };
        let pass = &config.passes[pass];
        let count = ChoiceValue::Count;
        let order = |list: &[AxisId]| {
            ChoiceValue::Words(list.iter().map(|&axis| axes.name(axis).to_string()).collect())
        };
        match field {
            Field::Store => yes_no(pass.stored),
            Field::Fuse => yes_no(pass.fused),
            Field::Grid(axis) => count(pass.grid[&axis]),
            Field::GridOrder => order(&pass.grid_order),
            Field::Block(axis) => count(pass.block[&axis]),
            Field::Split(axis) => count(pass.split.get(&axis).copied().unwrap_or(1)),
            Field::Vector => word(pass.vector.map_or("none", |axis| axes.name(axis))),
            Field::Micro(axis) => count(pass.micro[&axis]),
            Field::Unroll => count(pass.unroll),
            Field::Fetch => count(pass.fetch),
            Field::Ahead => yes_no(pass.ahead),
            Field::Stores => word(if pass.streaming { "streaming" } else { "cached" }),
            Field::Order => order(&pass.order),
            Field::PackA => word(pass.pack_a.name()),
            Field::PackB => word(pass.pack_b.name()),
            Field::CopyB => word(if pass.once_b { "once" } else { "block" }),
            Field::Keep => word(if pass.in_output { "output" } else { "scratch" }),
        }
    }

    /// Sets the value in a configuration. Values outside of the domain are ignored; they are refused elsewhere.
    pub(super) fn write(self, config: &mut Config, value: &ChoiceValue, axes: &AxisTable) {
        let (pass, field) = match (self, value) {
            (Self::Threads, ChoiceValue::Count(threads)) => {
                config.threads = *threads;
                return;
            }
            (Self::Form | Self::Threads, _) => return,
            (Self::Pass(pass, field), _) => (pass, field),
        };
        let pass = &mut config.passes[pass];
        match (field, value) {
            (Field::Store, ChoiceValue::Word(word)) => pass.stored = word == "yes",
            (Field::Fuse, ChoiceValue::Word(word)) => pass.fused = word == "yes",
            (Field::Vector, ChoiceValue::Word(word)) => {
                pass.vector = axes.find(word).filter(|_| word != "none");
            }
            (Field::PackA, ChoiceValue::Word(word)) => pass.pack_a = Pack::parse(word),
            (Field::PackB, ChoiceValue::Word(word)) => pass.pack_b = Pack::parse(word),
            (Field::GridOrder, ChoiceValue::Words(words)) => {
                pass.grid_order = words.iter().filter_map(|word| axes.find(word)).collect();
            }
            (Field::Order, ChoiceValue::Words(words)) => {
                pass.order = words.iter().filter_map(|word| axes.find(word)).collect();
            }
            (Field::Grid(axis), ChoiceValue::Count(count)) => {
                pass.grid.insert(axis, *count);
            }
            (Field::Block(axis), ChoiceValue::Count(count)) => {
                pass.block.insert(axis, *count);
            }
            (Field::Split(axis), ChoiceValue::Count(count)) => {
                pass.split.insert(axis, *count);
            }
            (Field::Micro(axis), ChoiceValue::Count(count)) => {
                pass.micro.insert(axis, *count);
            }
            (Field::Unroll, ChoiceValue::Count(count)) => pass.unroll = *count,
            (Field::Fetch, ChoiceValue::Count(count)) => pass.fetch = *count,
            (Field::Ahead, ChoiceValue::Word(word)) => pass.ahead = word == "yes",
            (Field::Keep, ChoiceValue::Word(word)) => pass.in_output = word == "output",
            (Field::CopyB, ChoiceValue::Word(word)) => pass.once_b = word == "once",
            (Field::Stores, ChoiceValue::Word(word)) => pass.streaming = word == "streaming",
            _ => {}
        }
    }
}

impl Pack {
    /// The word in a schedule.
    pub fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Rows => "rows",
            Self::Panel => "panel",
            Self::Dots => "dots",
            Self::Tiles => "tiles",
            Self::Parts => "parts",
            Self::Join => "join",
        }
    }

    fn parse(word: &str) -> Self {
        match word {
            "rows" => Self::Rows,
            "panel" => Self::Panel,
            "dots" => Self::Dots,
            "tiles" => Self::Tiles,
            "parts" => Self::Parts,
            "join" => Self::Join,
            _ => Self::No,
        }
    }
}

pub(super) fn word(text: &str) -> ChoiceValue {
    ChoiceValue::Word(text.to_string())
}

pub(super) fn yes_no(yes: bool) -> ChoiceValue {
    word(if yes { "yes" } else { "no" })
}
