//! Which lines are scheduled alike: gives each different [`Class`] a number.
//!
//! Class 0 is the job's own. Where the first line names a model itself, class 0 takes that model
//! over: a batch file in which every line names the same model then needs one class and no table.
//!
//! Pure.

use std::collections::HashMap;

use crate::job::{Class, Ladder};

/// One class and who uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassUse {
    /// How its items are scheduled.
    pub class: Class,
    /// How many items it has.
    pub n_items: u64,
    /// The line of its first item; 0 where it has none.
    pub first_line: u64,
    /// The name of its first item.
    pub first_id: String,
}

impl ClassUse {
    fn unused(class: Class) -> ClassUse {
        ClassUse { class, n_items: 0, first_line: 0, first_id: String::new() }
    }
}

/// The classes of one job, in order of their first item.
pub struct Classes {
    /// What a line overrides, as the job was given it.
    own: Class,
    uses: Vec<ClassUse>,
    number_of: HashMap<Class, u16>,
    /// Lines that name a model and override nothing else are the common case: no `Class` is built to
    /// look them up.
    number_of_model: HashMap<Box<str>, u16>,
    n_items: u64,
}

impl Classes {
    /// Starts with the job's own class.
    pub fn new(own: Class) -> Classes {
        Classes {
            uses: vec![ClassUse::unused(own.clone())],
            own,
            number_of: HashMap::new(),
            number_of_model: HashMap::new(),
            n_items: 0,
        }
    }

    /// The job's own class.
    pub fn own(&self) -> &Class {
        &self.own
    }

    /// The number of the job's own class.
    pub fn of_own(&mut self) -> Result<u16, String> {
        match self.own == self.uses[0].class {
            true => Ok(0),
            false => self.of(self.own.clone()),
        }
    }

    /// The number of the job's own class with `model` in the place of its ladder.
    pub fn of_model(&mut self, model: &str) -> Result<u16, String> {
        if let Some(number) = self.number_of_model.get(model) {
            return Ok(*number);
        }
        let class = Class { ladder: Ladder(vec![vec![model.to_owned()]]), ..self.own().clone() };
        if self.n_items == 0 {
            self.uses[0].class = class.clone();
        }
        let number = self.of(class)?;
        self.number_of_model.insert(model.into(), number);
        Ok(number)
    }

    /// The number of `class`; a new one where it is new.
    pub fn of(&mut self, class: Class) -> Result<u16, String> {
        if class == self.uses[0].class {
            return Ok(0);
        }
        if let Some(number) = self.number_of.get(&class) {
            return Ok(*number);
        }
        if self.uses.len() >= Class::MAX_PER_JOB {
            return Err(format!(
                "a job holds at most {} different combinations of models, priority, deadline and \
                 not_before; split the file",
                Class::MAX_PER_JOB
            ));
        }
        let number = u16::try_from(self.uses.len()).expect("fewer than MAX_PER_JOB");
        self.uses.push(ClassUse::unused(class.clone()));
        self.number_of.insert(class, number);
        Ok(number)
    }

    /// Counts an item of class `number`.
    pub fn count(&mut self, number: u16, line: u64, id: &str) {
        let used = &mut self.uses[usize::from(number)];
        if used.n_items == 0 {
            used.first_line = line;
            id.clone_into(&mut used.first_id);
        }
        used.n_items += 1;
        self.n_items += 1;
    }

    /// All of them, by number.
    pub fn into_uses(self) -> Vec<ClassUse> {
        self.uses
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Class {
        Class { ladder: Ladder(vec![vec!["@small".to_owned()]]), priority: 3, ..Class::default() }
    }

    #[test]
    fn a_file_that_names_one_model_has_one_class() {
        let mut classes = Classes::new(own());
        for line in 1..=3 {
            let number = classes.of_model("gpt-5-mini").unwrap();
            assert_eq!(number, 0);
            classes.count(number, line, "r");
        }
        let uses = classes.into_uses();
        assert_eq!(uses.len(), 1);
        assert_eq!((uses[0].class.ladder.to_string().as_str(), uses[0].class.priority), ("gpt-5-mini", 3));
        assert_eq!((uses[0].n_items, uses[0].first_line), (3, 1));
    }

    #[test]
    fn a_line_without_a_model_after_lines_with_one_has_the_jobs_ladder() {
        let mut classes = Classes::new(own());
        let number = classes.of_model("gpt-5-mini").unwrap();
        classes.count(number, 1, "a");
        assert_eq!(classes.of_own(), Ok(1));
        assert_eq!(classes.into_uses()[1].class, own());
    }

    #[test]
    fn later_lines_that_differ_get_classes_of_their_own() {
        let mut classes = Classes::new(own());
        classes.count(0, 1, "a");
        assert_eq!(classes.of_model("m"), Ok(1));
        assert_eq!(classes.of_model("m"), Ok(1));
        assert_eq!(classes.of(Class { priority: 9, ..own() }), Ok(2));
        assert_eq!(classes.of_own(), Ok(0));
    }

    #[test]
    fn too_many_classes_are_refused() {
        let mut classes = Classes::new(own());
        classes.count(0, 1, "a");
        let last = (1..=Class::MAX_PER_JOB).map(|n| classes.of_model(&format!("m{n}"))).last();
        assert!(last.unwrap().unwrap_err().contains("split the file"));
        assert_eq!(classes.of_model("m5"), Ok(5));
    }
}
