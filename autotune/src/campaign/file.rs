//! The campaign file: TOML that says what is tuned, how long, and what is allowed.
//!
//! Invariant: a key that is not known is refused, so that a misspelt budget is not an endless campaign.

use super::BAD_FILE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tilewright_ir::diag::{Diagnostic, Span};

/// Most proposals of a batch: all of them are made and compiled before the first is tried.
const BATCH_MAX: u64 = 1024;

/// A campaign file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CampaignFile {
    /// The name that people use.
    pub name: String,
    /// The seed of the searches and of the judge's data.
    #[serde(default)]
    pub seed: u64,
    /// What bounds it.
    pub budget: FileBudget,
    /// How it may use the machine.
    #[serde(default)]
    pub policy: Policy,
    /// The kernels.
    pub kernel: Vec<KernelEntry>,
}

/// `[budget]`: at least one of the two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileBudget {
    /// Candidates, rejected ones included.
    pub evaluations: Option<u64>,
    /// Seconds of work.
    pub seconds: Option<f64>,
}

/// `[policy]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Threads that compile; 0: all of the machine's.
    pub jobs: usize,
    /// Threads of every candidate; absent: the search decides.
    pub threads: Option<u64>,
    /// Proposals that are made and compiled together.
    pub batch: u64,
    /// Kernels that need more memory than this, in MiB, are refused.
    pub memory_mib: Option<u64>,
    /// Settings that no candidate has, of any kernel that knows them: `pack_b=parts`, `C.vector=m`.
    pub forbid: Vec<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { jobs: 0, threads: None, batch: 8, memory_mib: None, forbid: vec![] }
    }
}

/// `[[kernel]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelEntry {
    /// The kernel file; a relative path starts at the folder of the campaign file.
    pub file: PathBuf,
    /// The kernel, where the file has more than one.
    pub kernel: Option<String>,
    /// A size set of the text.
    pub set: Option<String>,
    /// Extents that replace those of the size set.
    #[serde(default)]
    pub size: BTreeMap<String, u64>,
    /// Its part of the budget, relative to those of the others.
    #[serde(default = "one")]
    pub share: f64,
    /// Settings that every candidate has: `threads=1`.
    #[serde(default)]
    pub fix: Vec<String>,
    /// The machine that it is tuned for: `host`, the only one so far.
    #[serde(default = "host")]
    pub target: String,
}

fn one() -> f64 {
    1.0
}

fn host() -> String {
    "host".to_string()
}

/// More than 4 GiB is not read of a text.
fn offset(byte: usize) -> u32 {
    u32::try_from(byte).unwrap_or(u32::MAX)
}

impl CampaignFile {
    /// Reads a campaign file.
    ///
    /// # Errors
    /// `TW0820`, with its place where it has one.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        let file: Self = toml::from_str(text).map_err(|error| {
            let fault = Diagnostic::new(BAD_FILE, error.message().to_string());
            let fault = match error.span() {
                Some(place) => {
                    fault.at(Span { start: offset(place.start), end: offset(place.end) })
                }
                None => fault,
            };
            fault.help("docs/campaign.md lists the keys")
        })?;
        file.check()?;
        Ok(file)
    }

    fn check(&self) -> Result<(), Diagnostic> {
        let refuse = |what: &str, found: String, expected: &str| {
            Err(Diagnostic::new(BAD_FILE, what).found(found).expected(expected))
        };
        if self.name.trim().is_empty() || self.name.chars().any(char::is_control) {
            return refuse("a campaign has a name", format!("{:?}", self.name), "a word");
        }
        if self.kernel.is_empty() {
            return refuse("a campaign has a kernel", "none".to_string(), "[[kernel]]");
        }
        if !(1..=BATCH_MAX).contains(&self.policy.batch) {
            let expected = format!("a number from 1 to {BATCH_MAX}");
            return refuse("a batch", self.policy.batch.to_string(), &expected);
        }
        let FileBudget { evaluations, seconds } = self.budget;
        if evaluations.is_none() && seconds.is_none() {
            let expected = "`evaluations` or `seconds`";
            return refuse("a campaign has a budget", "neither".to_string(), expected);
        }
        let is_positive = |number: f64| number.is_finite() && number > 0.0;
        if let Some(seconds) = seconds.filter(|&seconds| !is_positive(seconds)) {
            return refuse("a budget of time", seconds.to_string(), "a positive number");
        }
        for entry in &self.kernel {
            if !is_positive(entry.share) {
                return refuse("a share", entry.share.to_string(), "a positive number");
            }
            if entry.target != "host" {
                return refuse("a target", format!("{:?}", entry.target), "\"host\"");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{BAD_FILE, CampaignFile};

    const GOOD: &str =
        "name = \"night\"\n[budget]\nevaluations = 40\n[[kernel]]\nfile = \"product.tw\"\n";

    #[test]
    fn what_is_left_out_has_a_default() {
        let file = CampaignFile::parse(GOOD).expect("it is a campaign");
        assert_eq!((file.seed, file.policy.batch, file.kernel[0].share), (0, 8, 1.0));
    }

    #[test]
    fn what_is_no_campaign_is_refused() {
        for (from, to, told) in [
            ("evaluations", "evaluation", "evaluation"),
            ("evaluations = 40", "", "budget"),
            ("evaluations = 40", "seconds = -1", "-1"),
            ("\"night\"", "\" \"", "name"),
            ("file =", "target = \"moon\"\nfile =", "moon"),
            ("file =", "share = 0\nfile =", "0"),
            ("[[kernel]]\nfile = \"product.tw\"", "", "kernel"),
            ("[budget]", "[policy]\nbatch = 0\n[budget]", "0"),
            ("[budget]", "[policy]\nbatch = 100000000\n[budget]", "1024"),
            ("\"night\"", "\"a\\u0000b\"", "name"),
        ] {
            let fault = CampaignFile::parse(&GOOD.replace(from, to)).expect_err(to);
            assert_eq!(fault.code, BAD_FILE);
            assert!(fault.to_string().contains(told), "{fault}");
        }
    }
}
