//! What is done to the images, and which images may be there after it was cut short. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::dice::Dice;
use super::images::IMAGES;

/// What may be behind a name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Is {
    /// Nothing.
    Absent,
    /// The image with that id.
    Image(String),
    /// An image that was being made.
    New,
}

/// For each name what may be behind it; names that are not there may have nothing.
pub(super) type Names = BTreeMap<String, BTreeSet<Is>>;

/// What operations depend on.
pub(super) struct Ground<'a> {
    pub(super) names: &'a Names,
    /// Of the images that are known beforehand, by the names they get.
    pub(super) ids: &'a BTreeMap<String, String>,
    /// A container holds the base.
    pub(super) is_held: bool,
}

/// Something that changes images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    /// An image of the registry.
    Pull(usize),
    /// An archive.
    Load(usize),
    /// A layer as an image.
    Import(usize, String),
    Tag(String, String),
    Remove(String),
    /// The container's changes.
    Commit(String),
    /// Images without a name.
    Prune,
    /// Images without a container.
    PruneAll,
}

/// The name of what containers run.
pub(super) const BASE: &str = "load/i0:1";

impl Operation {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Pull(_) => "pull",
            Self::Load(_) => "load",
            Self::Import(..) => "import",
            Self::Tag(..) => "tag",
            Self::Remove(_) => "rmi",
            Self::Commit(_) => "commit",
            Self::Prune | Self::PruneAll => "prune",
        }
    }

    /// The command line.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Pull(image) => format!("berth pull {}", pulled(*image)),
            Self::Load(image) => format!("berth load -i /bin/made/i{image}.tar"),
            Self::Import(layer, name) => format!("berth import /bin/made/l{layer}.tar {name}"),
            Self::Tag(from, to) => format!("berth tag {from} {to}"),
            Self::Remove(name) => format!("berth rmi {name}"),
            Self::Commit(name) => format!("berth commit worker {name}"),
            Self::Prune => "berth image prune -f".to_owned(),
            Self::PruneAll => "berth image prune -af".to_owned(),
        }
    }

    /// What each name that it changes leads to when it is done.
    pub(super) fn effect(&self, ground: &Ground<'_>) -> Vec<(String, Is)> {
        let names = ground.names;
        let known = |name: String| {
            let id = ground.ids.get(&name).cloned().unwrap_or_default();
            vec![(name, Is::Image(id))]
        };
        match self {
            Self::Pull(image) => known(pulled(*image)),
            Self::Load(image) => known(loaded(*image)),
            Self::Import(_, name) | Self::Commit(name) => vec![(name.clone(), Is::New)],
            Self::Tag(from, to) => only(names, from).map(|is| (to.clone(), is)).into_iter().collect(),
            Self::Remove(name) => vec![(name.clone(), Is::Absent)],
            Self::Prune => Vec::new(),
            Self::PruneAll => {
                let held = only(names, BASE).filter(|_| ground.is_held);
                let unused = |name: &&String| held.is_none() || only(names, name) != held;
                names.keys().filter(unused).map(|name| (name.clone(), Is::Absent)).collect()
            }
        }
    }
}

/// The name of a pulled image.
pub(super) fn pulled(image: usize) -> String {
    format!("127.0.0.1:5000/i{image}:1")
}

/// The name of a loaded image.
pub(super) fn loaded(image: usize) -> String {
    format!("load/i{image}:1")
}

/// What is behind the name, when that is sure.
fn only(names: &Names, name: &str) -> Option<Is> {
    names.get(name).filter(|may| may.len() == 1).and_then(|may| may.first().cloned())
}

/// The operation was begun: its names may be as before or as after it.
pub(super) fn begin(names: &mut Names, effect: &[(String, Is)]) {
    for (name, is) in effect {
        names.entry(name.clone()).or_insert_with(|| BTreeSet::from([Is::Absent])).insert(is.clone());
    }
}

/// The operation was acknowledged, and said which image it made: its names are as after it.
pub(super) fn acknowledge(names: &mut Names, effect: &[(String, Is)], made: &str) {
    for (name, is) in effect {
        let is = if *is == Is::New { Is::Image(made.to_owned()) } else { is.clone() };
        names.insert(name.clone(), BTreeSet::from([is]));
    }
}

/// Draws one that may go on beside that one: what either leaves does not depend on the other. Not beside every one there is such.
pub(super) fn draw_beside(dice: &mut Dice, ground: &Ground<'_>, other: &Operation) -> Option<Operation> {
    let drawn = draw(dice, ground);
    let depends = |operation: &Operation| *operation == Operation::PruneAll;
    let meet = touched(&drawn).iter().any(|name| touched(other).contains(name));
    (!depends(&drawn) && !depends(other) && !meet).then_some(drawn)
}

/// The names that it reads or changes, but for prunes.
fn touched(operation: &Operation) -> Vec<String> {
    match operation {
        Operation::Pull(image) => vec![pulled(*image)],
        Operation::Load(image) => vec![loaded(*image)],
        Operation::Import(_, name) | Operation::Commit(name) | Operation::Remove(name) => vec![name.clone()],
        Operation::Tag(from, to) => vec![from.clone(), to.clone()],
        Operation::Prune | Operation::PruneAll => Vec::new(),
    }
}

/// Draws an operation that can succeed.
pub(super) fn draw(dice: &mut Dice, ground: &Ground<'_>) -> Operation {
    let present: Vec<&String> =
        ground.names.iter().filter(|(_, may)| !may.contains(&Is::Absent)).map(|(name, _)| name).collect();
    let spare: Vec<&&String> = present.iter().filter(|name| **name != BASE).collect();
    match dice.below(17) {
        0..=3 => Operation::Pull(1 + dice.below(IMAGES.len() - 1)),
        4..=6 => Operation::Load(1 + dice.below(IMAGES.len() - 1)),
        7 => Operation::Import(1 + dice.below(6), format!("import/n{}:1", dice.below(3))),
        8 if !present.is_empty() => {
            Operation::Tag((*dice.pick(&present)).clone(), format!("tag/t{}:1", dice.below(4)))
        }
        9 | 10 if !spare.is_empty() => Operation::Remove((**dice.pick(&spare)).clone()),
        11..=13 if ground.is_held => Operation::Commit(format!("commit/c{}:1", dice.below(3))),
        14 => Operation::Prune,
        15 => Operation::PruneAll,
        _ => Operation::Pull(1 + dice.below(IMAGES.len() - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: &str) -> BTreeSet<Is> {
        BTreeSet::from([Is::Image(id.to_owned())])
    }

    fn two() -> Names {
        Names::from([("a:1".to_owned(), image("1")), (BASE.to_owned(), image("0"))])
    }

    fn ground<'a>(names: &'a Names, ids: &'a BTreeMap<String, String>) -> Ground<'a> {
        Ground { names, ids, is_held: true }
    }

    #[test]
    fn both_ends_of_what_was_begun_may_be_found() {
        let (mut names, ids) = (two(), BTreeMap::new());
        let tag = Operation::Tag("a:1".into(), "b:1".into()).effect(&ground(&names, &ids));
        begin(&mut names, &tag);
        assert_eq!(names["b:1"], BTreeSet::from([Is::Absent, Is::Image("1".into())]));
        acknowledge(&mut names, &tag, "");
        assert_eq!(names["b:1"], image("1"));
        let commit = Operation::Commit("a:1".into()).effect(&ground(&names, &ids));
        begin(&mut names, &commit);
        assert_eq!(names["a:1"], BTreeSet::from([Is::Image("1".into()), Is::New]));
        acknowledge(&mut names, &commit, "2");
        assert_eq!(names["a:1"], image("2"));
        let prune = |is_held| Operation::PruneAll.effect(&Ground { is_held, ..ground(&names, &ids) });
        assert_eq!(prune(true), [("a:1".to_owned(), Is::Absent), ("b:1".to_owned(), Is::Absent)]);
        assert_eq!(prune(false).len(), 3);
    }

    #[test]
    fn operations_at_once_do_not_meet() {
        let (names, ids) = (two(), BTreeMap::new());
        let (mut dice, mut pairs) = (Dice::new(1), 0);
        for _ in 0..1000 {
            let ground = ground(&names, &ids);
            let first = draw(&mut dice, &ground);
            assert_ne!(first, Operation::Remove(BASE.to_owned()));
            let Some(second) = draw_beside(&mut dice, &ground, &first) else { continue };
            let (one, other) = (first.effect(&ground), second.effect(&ground));
            assert!(one.iter().all(|(name, _)| other.iter().all(|(n, _)| n != name)), "{first:?} {second:?}");
            pairs += 1;
        }
        assert!(pairs > 500, "{pairs}");
    }
}
