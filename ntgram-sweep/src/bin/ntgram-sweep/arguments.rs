//! The program's arguments.

use std::num::NonZero;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Many trainings from one plan: on all cores of this machine, or on a cluster.
///
/// A plan is a TOML file that says what to train (see docs/sweeps.md and plans/ of the repository). Each of its trainings has one small file
/// in the folder of the results. `run` computes those that are missing, so the same command goes on where it was ended, by whatever.
#[derive(Parser)]
#[command(
    version,
    after_help = "Examples:
  ntgram-sweep run plans/paper.toml --to results/paper --only exp_6
  ntgram-sweep list plans/paper.toml --to results/paper
  ntgram-sweep gather plans/paper.toml --to results/paper --tasks tasks.csv --points points.csv
  ntgram-sweep submit plans/paper.toml --to /shared/paper --on hq --run

Exit codes: 0 all is there; 1 refused or failed, the reason is printed; 2 wrong arguments;
3 some results are missing; 130 interrupted."
)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Do,
}

#[derive(Subcommand)]
pub enum Do {
    /// Compute the results that are missing, on all cores.
    Run {
        #[command(flatten)]
        selection: Selection,
        /// The folder of the results; made if it is missing.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// Trainings side by side [default: as many as there are cores]. No result depends on it.
        #[arg(long, value_name = "N")]
        jobs: Option<usize>,
        /// Compute results by another version of this program again.
        #[arg(long)]
        renew: bool,
    },
    /// Compute these tasks, or one part of all: what a job of a cluster calls.
    Task {
        #[command(flatten)]
        selection: Selection,
        /// Numbers of tasks, as `list` shows them, and ranges such as 10-19.
        #[arg(required_unless_present = "parts", conflicts_with = "parts", value_name = "INDEX")]
        indices: Vec<Range>,
        /// Take every N-th task, as one of N parts of the plan.
        #[arg(long, value_name = "N")]
        parts: Option<NonZero<usize>>,
        /// Which part, from 0 [default: the variable HQ_TASK_ID or SLURM_ARRAY_TASK_ID].
        #[arg(long, value_name = "K", requires = "parts")]
        part: Option<usize>,
        /// The folder of the results; made if it is missing.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// Trainings side by side.
        #[arg(long, value_name = "N", default_value_t = 1)]
        jobs: usize,
    },
    /// Say which results there are; without --to, which trainings the plan has.
    List {
        #[command(flatten)]
        selection: Selection,
        /// The folder of the results.
        #[arg(long, value_name = "FOLDER")]
        to: Option<PathBuf>,
        /// A line for each task, not for broken results only.
        #[arg(long)]
        all: bool,
    },
    /// Make tables of the results, as CSV: one row a point with mean, standard error and count, and one row a task.
    Gather {
        #[command(flatten)]
        selection: Selection,
        /// The folder of the results.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// Write one row a task to this file.
        #[arg(long, value_name = "FILE")]
        tasks: Option<PathBuf>,
        /// Write one row a point to this file [default, if there is no --tasks: standard output].
        #[arg(long, value_name = "FILE")]
        points: Option<PathBuf>,
        /// Add each task's seconds and its processor's instructions, which differ from run to run.
        #[arg(long)]
        timings: bool,
    },
    /// Print the command or the script that runs the plan on a cluster, or start it.
    Submit {
        #[command(flatten)]
        selection: Selection,
        /// What runs the jobs there.
        #[arg(long, value_name = "SYSTEM")]
        on: On,
        /// The folder of the results, which all nodes must see; made if it is missing.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// About how long a job is to take: short tasks are put together.
        #[arg(long, value_name = "S", default_value_t = 120.0)]
        seconds: f64,
        /// Start it: `hq` or `sbatch` must be there.
        #[arg(long)]
        run: bool,
    },
}

#[derive(Args)]
pub struct Selection {
    /// The plan, a TOML file.
    pub plan: PathBuf,
    /// Only this experiment or table; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum On {
    /// HyperQueue.
    Hq,
    /// Slurm.
    Slurm,
}

/// One number, or a range of them.
#[derive(Clone, Copy)]
pub struct Range {
    pub first: usize,
    pub last: usize,
}

impl FromStr for Range {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().map_err(|_| "a task's number, or two such as 10-19".to_owned());
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if first > last { Err(format!("{first} is above {last}")) } else { Ok(Self { first, last }) }
    }
}
