//! One job to replay: which items, sent to which models, what a success is worth.

use super::answers::{Answer, Answers};

/// Items in the order in which they are sent, and the models they may be sent to.
#[derive(Clone, Debug)]
pub(super) struct Job<'a> {
    pub(super) answers: &'a Answers,
    /// Models by their place in `answers`.
    pub(super) pool: Vec<usize>,
    /// Items by their place in `answers`.
    pub(super) items: Vec<usize>,
    /// Dollars that one more success is worth.
    pub(super) worth: f64,
    /// By model of the pool, what is believed at first that an attempt costs.
    pub(super) guesses: Vec<f64>,
    /// From which item on prices are others, and by which factors.
    pub(super) shift: Option<(usize, Vec<f64>)>,
}

impl<'a> Job<'a> {
    /// What a model of the pool answered on the item at this position, at the price of then.
    pub(super) fn answer(&self, position: usize, model: usize) -> Option<Answer> {
        let answer = self.answers.items[self.items[position]][self.pool[model]]?;
        Some(Answer { cost: answer.cost * self.factor(position, model), ..answer })
    }

    /// What the price of a model is multiplied by at this position.
    pub(super) fn factor(&self, position: usize, model: usize) -> f64 {
        match &self.shift {
            Some((from, factors)) if position >= *from => factors[model],
            _ => 1.0,
        }
    }

    /// The same job over other items.
    pub(super) fn over(&self, items: &[usize]) -> Job<'a> {
        Job { items: items.to_vec(), shift: None, ..self.clone() }
    }

    /// Share of the items that a model of the pool passes, and the mean cost of its answers.
    pub(super) fn record(&self, model: usize) -> (f64, f64) {
        let answers = (0..self.items.len()).filter_map(|position| self.answer(position, model));
        let (mut n, mut passed, mut cost) = (0.0f64, 0.0, 0.0);
        for answer in answers {
            n += 1.0;
            passed += f64::from(u8::from(answer.passed));
            cost += answer.cost;
        }
        (passed / n.max(1.0), cost / n.max(1.0))
    }

    /// The model that passes most; the cheaper one of equals.
    pub(super) fn strongest(&self) -> usize {
        let best = (0..self.pool.len()).map(|model| (model, self.record(model)));
        let best = best.max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        best.expect("a pool has models").0
    }

    /// Models by mean cost, cheapest first.
    pub(super) fn by_cost(&self) -> Vec<usize> {
        let mut models: Vec<usize> = (0..self.pool.len()).collect();
        models.sort_by(|&a, &b| self.record(a).1.total_cmp(&self.record(b).1));
        models
    }
}
