//! Reads callgrind's output, and attributes the costs to stages.
//!
//! Format: "Callgrind Format Specification", version 1, in Valgrind's manual.

use std::collections::{BTreeMap, HashMap};

use crate::stages::Stage;

/// The owner of the code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// wecrelay, including its crates.
    Relay,
    /// The C library and the loader.
    Libc,
    OpenSsl,
}

impl Owner {
    pub(crate) const ALL: [Self; 3] = [Self::Relay, Self::Libc, Self::OpenSsl];

    fn of_object(path: &str, binary: &str) -> Self {
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        match name(path) {
            name if name.contains("libssl") || name.contains("libcrypto") => Self::OpenSsl,
            file if file == name(binary) => Self::Relay,
            _ => Self::Libc,
        }
    }
}

/// Instructions by stage and owner.
#[derive(Clone, Debug, Default)]
pub(crate) struct Costs(BTreeMap<(Stage, Owner), f64>);

impl Costs {
    /// Reads the text of a profile of `binary`.
    pub(crate) fn read(text: &str, binary: &str) -> Self {
        let profile = Profile::parse(text, binary);
        assert!(
            profile
                .functions
                .iter()
                .any(|function| function.stage.is_some()),
            "valgrind finds no symbols of ours in {binary}: build it with GNU ld, as scripts/bench does"
        );
        let costs = profile.shared();
        let sum: f64 = costs.0.values().sum();
        let total = profile.total as f64;
        assert!(
            (sum - total).abs() <= total / 1e6,
            "read {sum} instructions of a profile of {total}"
        );
        costs
    }

    pub(crate) fn minus(mut self, other: &Self) -> Self {
        for (key, cost) in &other.0 {
            *self.0.entry(*key).or_default() -= cost;
        }
        self
    }

    pub(crate) fn over(mut self, events: usize) -> Self {
        self.0.values_mut().for_each(|cost| *cost /= events as f64);
        self
    }

    pub(crate) fn of(&self, stage: Stage, owner: Owner) -> f64 {
        self.0.get(&(stage, owner)).copied().unwrap_or(0.0)
    }

    pub(crate) fn of_owner(&self, owner: Owner) -> f64 {
        Stage::ALL.iter().map(|stage| self.of(*stage, owner)).sum()
    }

    pub(crate) fn total(&self) -> f64 {
        self.0.values().sum()
    }

    fn add(&mut self, stage: Stage, owner: Owner, cost: f64) {
        *self.0.entry((stage, owner)).or_default() += cost;
    }
}

/// Costs of a function.
#[derive(Default)]
struct Function {
    owner: Option<Owner>,
    /// By its module, if it is in wecrelay.
    stage: Option<Stage>,
    /// Costs of lines that belong to a stage, including lines inlined here.
    own: BTreeMap<Stage, u64>,
    /// Costs of other lines: the standard library, crates, C.
    shared: u64,
    /// Its callers, the stage of the calling line, and the total cost of the calls.
    callers: HashMap<(usize, Option<Stage>), u64>,
}

#[derive(Default)]
struct Profile {
    functions: Vec<Function>,
    total: u64,
}

/// The position of the reader.
#[derive(Default)]
struct Reader {
    profile: Profile,
    /// Names are written once, then referred to by number.
    names: HashMap<(char, String), String>,
    ids: HashMap<(String, String), usize>,
    object: String,
    file: String,
    function: usize,
    called_object: Option<String>,
    called: Option<usize>,
    /// Whether the next line of costs belongs to a call.
    in_call: bool,
}

impl Profile {
    fn parse(text: &str, binary: &str) -> Self {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line, binary);
        }
        reader.profile
    }

    /// Attributes costs without a stage to the stages of the callers, in proportion to the
    /// cost of their calls. Since calls can be recursive, the shares are computed iteratively
    /// until they hardly change.
    fn shared(&self) -> Costs {
        const ROUNDS: usize = 60;
        let mut shares = vec![BTreeMap::<Stage, f64>::new(); self.functions.len()];
        for _ in 0..ROUNDS {
            shares = self.functions.iter().map(|f| f.shares(&shares)).collect();
        }
        let mut costs = Costs::default();
        for (function, shares) in self.functions.iter().zip(&shares) {
            let owner = function.owner.unwrap_or(Owner::Libc);
            for (stage, cost) in &function.own {
                costs.add(*stage, owner, *cost as f64);
            }
            let known: f64 = shares.values().sum();
            for (stage, share) in shares {
                costs.add(*stage, owner, function.shared as f64 * share);
            }
            costs.add(Stage::Other, owner, function.shared as f64 * (1.0 - known));
        }
        costs
    }
}

impl Function {
    /// The stages that its shared costs belong to, as shares that add up to 1 or less.
    fn shares(&self, others: &[BTreeMap<Stage, f64>]) -> BTreeMap<Stage, f64> {
        if let Some(stage) = self.stage {
            return BTreeMap::from([(stage, 1.0)]);
        }
        let mut shares = BTreeMap::<Stage, f64>::new();
        for ((caller, stage), cost) in &self.callers {
            let mut add =
                |stage, share: f64| *shares.entry(stage).or_default() += share * *cost as f64;
            match stage {
                Some(stage) => add(*stage, 1.0),
                None => others[*caller]
                    .iter()
                    .for_each(|(stage, share)| add(*stage, *share)),
            }
        }
        let sum: f64 = shares.values().sum();
        if sum > 0.0 {
            shares.values_mut().for_each(|share| *share /= sum);
        }
        shares
    }
}

impl Reader {
    fn line(&mut self, line: &str, binary: &str) {
        if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
            return self.cost(line);
        }
        if let Some(rest) = line.strip_prefix("totals: ") {
            self.profile.total = rest.trim().parse().unwrap();
            return;
        }
        let Some((key, value)) = line.split_once('=') else {
            return;
        };
        match key {
            "ob" => self.object = self.name('o', value),
            "fl" | "fi" | "fe" => self.file = self.name('f', value),
            "fn" => {
                let object = self.object.clone();
                self.function = self.function(&object, value, binary);
            }
            "cob" => self.called_object = Some(self.name('o', value)),
            "cfi" | "cfl" => drop(self.name('f', value)),
            "cfn" => {
                let object = self.called_object.take().unwrap_or(self.object.clone());
                self.called = Some(self.function(&object, value, binary));
            }
            "calls" => self.in_call = true,
            _ => {}
        }
    }

    /// `(3) name` defines a name, `(3)` refers to it.
    fn name(&mut self, kind: char, value: &str) -> String {
        let (id, name) = value.split_once(' ').unwrap_or((value, ""));
        let key = (kind, id.to_owned());
        if !name.is_empty() {
            self.names.insert(key, name.to_owned());
            return name.to_owned();
        }
        self.names
            .get(&key)
            .cloned()
            .unwrap_or_else(|| value.to_owned())
    }

    fn function(&mut self, object: &str, value: &str, binary: &str) -> usize {
        let name = self.name('n', value);
        let functions = &mut self.profile.functions;
        *self
            .ids
            .entry((object.to_owned(), name))
            .or_insert_with_key(|(object, name)| {
                let owner = Owner::of_object(object, binary);
                let stage = Stage::of_function(name).filter(|_| owner == Owner::Relay);
                functions.push(Function {
                    owner: Some(owner),
                    stage,
                    ..Function::default()
                });
                functions.len() - 1
            })
    }

    fn cost(&mut self, line: &str) {
        let cost = line
            .split_whitespace()
            .nth(1)
            .and_then(|cost| cost.parse::<u64>().ok());
        let cost = cost.unwrap_or(0);
        let stage = match self.profile.functions[self.function].owner {
            Some(Owner::Relay) => Stage::of_file(&self.file),
            _ => None,
        };
        if std::mem::take(&mut self.in_call) {
            let called = self.called.take().expect("a call of something");
            let stage = stage.or(self.profile.functions[self.function].stage);
            let callers = &mut self.profile.functions[called].callers;
            *callers.entry((self.function, stage)).or_default() += cost;
            return;
        }
        let function = &mut self.profile.functions[self.function];
        match stage {
            Some(stage) => *function.own.entry(stage).or_default() += cost,
            None => function.shared += cost,
        }
    }
}
