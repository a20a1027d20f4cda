//! Commands that run a plan on a cluster: an array of jobs, each one part of the plan's tasks.

use std::path::Path;

use crate::task::Task;

/// What runs the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum System {
    /// HyperQueue: `hq submit`, on a laptop, or on the nodes that `hq alloc` gets from Slurm or PBS.
    Hq,
    /// Slurm: a script for `sbatch`.
    Slurm,
}

/// The variables that say which job of an array this is, by system.
pub const ARRAY_VARIABLES: [&str; 2] = ["HQ_TASK_ID", "SLURM_ARRAY_TASK_ID"];

/// What is submitted.
#[derive(Debug, Clone, Copy)]
pub struct Array<'a> {
    /// This program.
    pub program: &'a Path,
    /// The plan's file.
    pub plan: &'a Path,
    /// The folder of the results, which all nodes see.
    pub folder: &'a Path,
    /// Names of experiments and tables; none: all.
    pub only: &'a [String],
    /// Jobs of the array.
    pub parts: usize,
}

/// Most jobs of an array: Slurm's usual limit.
const MOST_PARTS: usize = 1000;

/// How many jobs of about `seconds` each the tasks make: 1 to 1000, and no more than there are tasks.
pub fn parts(tasks: &[Task], seconds: f64) -> usize {
    let all = tasks.iter().map(|task| task.training.work()).sum::<f64>() * 1e-9;
    ((all / seconds).ceil() as usize).clamp(1, MOST_PARTS.min(tasks.len().max(1)))
}

/// The tasks of part `k` of `n`: every `n`-th one, so that parts are about as long as one another.
pub fn part(tasks: &[Task], k: usize, n: usize) -> Vec<Task> {
    tasks.iter().skip(k).step_by(n.max(1)).cloned().collect()
}

impl Array<'_> {
    /// The command line for HyperQueue, to be typed into a shell; the script for Slurm, to be given to `sbatch`.
    pub fn text(&self, system: System) -> String {
        let Array { program, plan, folder, only, parts } = self;
        let [program, plan, folder] = [program, plan, folder].map(|path| quoted(&path.display().to_string()));
        let only: String = only.iter().map(|name| format!(" --only {}", quoted(name))).collect();
        let task = format!("{program} task {plan} --to {folder} --parts {parts}{only}");
        let last = parts - 1;
        match system {
            System::Hq => format!(
                "hq submit --name ntgram-sweep --array 0-{last} --cpus 1 --stdout none --stderr none -- {task}\n"
            ),
            System::Slurm => format!(
                "#!/bin/sh\n#SBATCH --job-name=ntgram-sweep\n#SBATCH --array=0-{last}\n#SBATCH --ntasks=1\n#SBATCH --cpus-per-task=1\n\
                 #SBATCH --output=/dev/null\nexec {task}\n"
            ),
        }
    }
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./+=:@,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell_keep_what_they_are() {
        for word in ["plain", "two words", "it's", "$HOME", "a\\b", "", "é🦀", "new\nline"] {
            let said = std::process::Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output();
            assert_eq!(String::from_utf8(said.unwrap().stdout).unwrap(), word);
        }
        assert_eq!(quoted("plans/paper.toml"), "plans/paper.toml");
    }
}
