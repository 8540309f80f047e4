//! The way through a filter: what each part of it works on, and where the key stands.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};
use jaq_core::path::{Part, Path};

use super::shape::Shape;

/// Filters with one argument, which works on each element of what they themselves work on.
const BY_ELEMENT: &[&str] = &[
    "all",
    "any",
    "group_by",
    "map",
    "map_values",
    "max_by",
    "min_by",
    "sort_by",
    "unique_by",
];

/// Filters whose arguments work on something else, be it a part of what they themselves work on, all of it or what
/// comes of it.
const ELSEWHERE: &[&str] = &[
    "IN",
    "INDEX",
    "all",
    "any",
    "paths",
    "recurse",
    "repeat",
    "until",
    "walk",
    "while",
    "with_entries",
];

/// Filters that tell nothing of the names in what they work on.
const BLIND: &[&str] = &[
    "empty", "false", "length", "not", "now", "null", "true", "type",
];

/// Goes through a filter and notes where the key stands.
#[derive(Default)]
pub(super) struct Walk<'s> {
    pub(super) filter: &'s str,
    pub(super) from: &'s str,
    /// Where surely the key stands.
    pub(super) found: Vec<usize>,
    /// The same, where it stands for its value as well: `{key}`.
    pub(super) shorthand: Vec<usize>,
    /// Where it may stand.
    pub(super) unfollowed: Vec<usize>,
    /// Where its name is a value.
    pub(super) literals: Vec<usize>,
    /// Whether such a value may become the key: what is renamed has got out of sight.
    pub(super) escapes: bool,
    variables: Vec<(&'s str, Shape)>,
    defined: Vec<&'s str>,
}

/// A text without anything to put in: its content, and where it begins if it stands in the filter as it is.
fn text_of<'s>(term: &Term<&'s str>) -> Option<(String, Option<&'s str>)> {
    let Term::Str(None, parts) = term else {
        return None;
    };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    let plain = match parts.as_slice() {
        [StrPart::Str(part)] => Some(*part),
        _ => None,
    };
    Some((text, plain))
}

impl<'s> Walk<'s> {
    pub(super) fn new(filter: &'s str, from: &'s str) -> Self {
        Self {
            filter,
            from,
            ..Self::default()
        }
    }

    /// Notes what a term reads of `input`. Gives back what is known of its values.
    pub(super) fn term(&mut self, term: &Term<&'s str>, input: &Shape) -> Shape {
        match term {
            Term::Id => input.clone(),
            Term::Recurse => self.lose(input.blurred()),
            Term::Num(_) => Shape::Apart,
            Term::Str(_, parts) => self.text(term, parts, input),
            Term::Arr(None) => Shape::Empty,
            Term::Arr(Some(inner)) => match self.term(inner, input) {
                Shape::Empty | Shape::Apart => Shape::Apart,
                shape => self.keep(Shape::Each(Box::new(shape))),
            },
            Term::Obj(entries) => self.object(entries, input),
            Term::Neg(inner) => {
                self.term(inner, input);
                Shape::Apart
            }
            Term::BinOp(left, op, right) => self.operation(left, op, right, input),
            Term::Label(_, inner) => self.term(inner, input),
            Term::Break(_) => Shape::Empty,
            Term::Fold(_, values, pattern, arguments) => {
                let values = self.term(values, input);
                let mut arguments = arguments.iter();
                let start = arguments.next().map(|start| self.term(start, input));
                let known = self.variables.len();
                self.bind(pattern, &values);
                // What it becomes on the way may be anything that goes in, or that a step has a name for.
                let goes_in = start.unwrap_or(Shape::Apart).or(values);
                let mut becomes = goes_in.or(self.named()).blurred();
                let so_far = becomes.clone();
                for argument in arguments {
                    becomes = becomes.or(self.term(argument, &so_far)).blurred();
                }
                self.variables.truncate(known);
                self.lose(becomes)
            }
            Term::TryCatch(inner, catch) => {
                let tried = self.term(inner, input);
                match catch {
                    // Any value may be raised as an error, on the way too.
                    Some(catch) => {
                        let raised = input.blurred().or(self.named()).or(tried.blurred());
                        tried.or(self.term(catch, &raised))
                    }
                    None => tried,
                }
            }
            Term::IfThenElse(branches, otherwise) => {
                let mut shape = match otherwise {
                    Some(otherwise) => self.term(otherwise, input),
                    None => input.clone(),
                };
                for (condition, then) in branches {
                    self.term(condition, input);
                    shape = shape.or(self.term(then, input));
                }
                shape
            }
            Term::Def(definitions, inner) => self.definitions(definitions, inner, input),
            Term::Call(name, arguments) => self.call(name, arguments, input),
            Term::Var(name) => {
                let known = self.variables.iter().rev().find(|(known, _)| known == name);
                known.map_or(Shape::Apart, |(_, shape)| shape.clone())
            }
            Term::Path(start, path) => {
                let mut shape = self.term(start, input);
                let Path(parts) = path;
                for (part, _) in parts {
                    shape = self.step(part, shape, input);
                }
                shape
            }
        }
    }

    /// What is known of the values that have a name here.
    fn named(&self) -> Shape {
        if self.variables.iter().any(|(_, shape)| shape.holds()) {
            Shape::Unknown
        } else {
            Shape::Apart
        }
    }

    /// What is followed further of a new value.
    fn keep(&mut self, shape: Shape) -> Shape {
        match shape.bounded() {
            Shape::Unknown => self.lose(Shape::Unknown),
            shape => shape,
        }
    }

    /// Notes that something which is not followed any further may hold what is renamed.
    fn lose(&mut self, shape: Shape) -> Shape {
        self.escapes |= shape.holds();
        shape
    }

    /// A text from which what is put in may be read back.
    fn text(
        &mut self,
        term: &Term<&'s str>,
        parts: &[StrPart<&'s str, Term<&'s str>>],
        input: &Shape,
    ) -> Shape {
        if let Some((text, plain)) = text_of(term) {
            if text == self.from {
                let at = plain.and_then(|plain| self.place(plain)).unwrap_or(0);
                self.literals.push(at);
            }
            return Shape::Apart;
        }
        let mut holds = Shape::Apart;
        for part in parts {
            match part {
                StrPart::Term(inner) => holds = holds.or(self.term(inner, input).blurred()),
                StrPart::Str(part) if *part == self.from => {
                    let at = self.place(part).unwrap_or(0);
                    self.literals.push(at);
                }
                StrPart::Str(_) | StrPart::Char(_) => {}
            }
        }
        self.lose(holds)
    }

    fn object(
        &mut self,
        entries: &[(Term<&'s str>, Option<Term<&'s str>>)],
        input: &Shape,
    ) -> Shape {
        let mut fields = Vec::with_capacity(entries.len());
        let mut named = true;
        for (key, value) in entries {
            let name = match key {
                Term::Var(name) => Some((name.trim_start_matches('$').to_owned(), None)),
                key => text_of(key),
            };
            let shape = match (value, &name) {
                (Some(value), _) => self.term(value, input),
                (None, None) => Shape::Empty,
                (None, Some(_)) if matches!(key, Term::Var(_)) => self.term(key, input),
                (None, Some((name, plain))) => self.key(input, name, *plain, Self::shorthand),
            };
            match name {
                Some((name, _)) => fields.push((name, shape)),
                None => {
                    let key = self.term(key, input).blurred();
                    named = false;
                    fields.push((String::new(), shape.or(key)));
                }
            }
        }
        let shape = Shape::Fields(fields);
        match (named, shape.holds(), entries.is_empty()) {
            (.., true) => Shape::Empty,
            (_, false, _) => Shape::Apart,
            (true, true, _) => self.keep(shape),
            (false, true, _) => self.lose(Shape::Unknown),
        }
    }

    fn operation(
        &mut self,
        left: &Term<&'s str>,
        op: &BinaryOp<&'s str>,
        right: &Term<&'s str>,
        input: &Shape,
    ) -> Shape {
        let of_left = self.term(left, input);
        match op {
            BinaryOp::Pipe(None) => self.term(right, &of_left),
            BinaryOp::Pipe(Some(pattern)) => {
                let known = self.variables.len();
                self.bind(pattern, &of_left);
                let shape = self.term(right, input);
                self.variables.truncate(known);
                shape
            }
            BinaryOp::Comma | BinaryOp::Alt => of_left.or(self.term(right, input)),
            BinaryOp::Or | BinaryOp::And | BinaryOp::Cmp(_) => {
                self.term(right, input);
                Shape::Apart
            }
            BinaryOp::Math(_) => {
                let both = of_left.or(self.term(right, input));
                let both = both.blurred();
                self.lose(both)
            }
            BinaryOp::Update => {
                let put = self.term(right, &of_left);
                self.updated(&of_left, &put, input)
            }
            BinaryOp::Assign | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt => {
                let put = self.term(right, input);
                self.updated(&of_left, &put, input)
            }
        }
    }

    /// What is known of a value in which one part was put in the place of another.
    fn updated(&mut self, was: &Shape, put: &Shape, input: &Shape) -> Shape {
        if was.holds() || put.holds() {
            return self.lose(Shape::Unknown);
        }
        input.clone()
    }

    fn bind(&mut self, pattern: &Pattern<&'s str>, value: &Shape) {
        match pattern {
            Pattern::Var(name) => self.variables.push((*name, value.clone())),
            Pattern::Arr(patterns) => {
                for pattern in patterns {
                    self.bind(pattern, &value.part());
                }
            }
            Pattern::Obj(entries) => {
                for (key, pattern) in entries {
                    let part = match text_of(key) {
                        Some((name, plain)) => {
                            // `{$name}` names a variable too, which would have to follow everywhere.
                            let is_variable = matches!(pattern, Pattern::Var(variable)
                                if plain.is_some_and(|plain| is_within(variable, plain)));
                            let note = if is_variable {
                                Self::unfollowed
                            } else {
                                Self::found
                            };
                            self.key(value, &name, plain, note)
                        }
                        None => {
                            self.term(key, &Shape::Apart);
                            self.lose(value.blurred())
                        }
                    };
                    self.bind(pattern, &part);
                }
            }
        }
    }

    fn definitions(
        &mut self,
        definitions: &[Def<&'s str>],
        inner: &Term<&'s str>,
        input: &Shape,
    ) -> Shape {
        let known = self.defined.len();
        for definition in definitions {
            self.defined.push(definition.name);
        }
        for definition in definitions {
            let (defined, variables) = (self.defined.len(), self.variables.len());
            // Nothing is known of where it will be called, nor with what.
            for argument in &definition.args {
                self.defined.push(*argument);
                self.variables.push((*argument, Shape::Unknown));
            }
            self.term(&definition.body, &Shape::Unknown);
            self.defined.truncate(defined);
            self.variables.truncate(variables);
        }
        let shape = self.term(inner, input);
        self.defined.truncate(known);
        shape
    }

    fn call(&mut self, name: &'s str, arguments: &[Term<&'s str>], input: &Shape) -> Shape {
        let is_defined = self.defined.contains(&name);
        match (name, arguments) {
            _ if is_defined => {}
            ("empty" | "null", []) => return Shape::Empty,
            (name, []) if BLIND.contains(&name) => return Shape::Apart,
            ("select", [condition]) => {
                self.term(condition, input);
                return input.clone();
            }
            ("del", [path]) => {
                let gone = self.term(path, input);
                return self.updated(&gone.or(Shape::Apart), &Shape::Apart, input);
            }
            ("has", [key]) if *input == Shape::Renamed => {
                if let Some((text, plain)) = text_of(key) {
                    self.key(input, &text, plain, Self::found);
                    return Shape::Apart;
                }
            }
            ("map", [each]) if matches!(input, Shape::Each(_)) => {
                let shape = self.term(each, &input.part());
                return self.keep(Shape::Each(Box::new(shape)));
            }
            _ => {}
        }
        let by_element = arguments.len() == 1 && BY_ELEMENT.contains(&name);
        let of_arguments = match input {
            _ if is_defined => Shape::Unknown,
            Shape::Each(part) if by_element => (**part).clone(),
            input if by_element || ELSEWHERE.contains(&name) => input.blurred(),
            input => input.clone(),
        };
        let mut shape = input.blurred();
        for argument in arguments {
            let argument = self.term(argument, &of_arguments);
            shape = shape.or(argument.blurred());
        }
        self.lose(if is_defined { Shape::Unknown } else { shape })
    }

    fn step(&mut self, part: &Part<Term<&'s str>>, shape: Shape, input: &Shape) -> Shape {
        match part {
            Part::Index(index) => {
                if let Some((name, plain)) = text_of(index) {
                    return self.key(&shape, &name, plain, Self::found);
                }
                self.term(index, input);
                if shape == Shape::Renamed {
                    // Any value may be the name.
                    self.escapes = true;
                }
                let part = shape.part();
                if matches!(shape, Shape::Fields(_)) {
                    return self.lose(part);
                }
                part
            }
            Part::Range(None, None) => {
                let part = shape.part();
                if matches!(shape, Shape::Fields(_)) {
                    return self.lose(part);
                }
                part
            }
            Part::Range(from, to) => {
                for bound in [from, to].into_iter().flatten() {
                    self.term(bound, input);
                }
                shape
            }
        }
    }

    /// What is under a key. Notes the place of the key where it is the one.
    fn key(
        &mut self,
        shape: &Shape,
        name: &str,
        plain: Option<&'s str>,
        note: fn(&mut Self, usize),
    ) -> Shape {
        let is_it = name == self.from;
        let place = plain.and_then(|plain| self.place(plain));
        match shape {
            Shape::Renamed => {
                match place {
                    _ if !is_it => {}
                    Some(place) => note(self, place),
                    // It is spelt with escapes.
                    None => self.unfollowed.push(0),
                }
                Shape::Apart
            }
            Shape::Fields(fields) => {
                let known = fields.iter().rev().find(|(known, _)| known == name);
                known.map_or(Shape::Apart, |(_, shape)| shape.clone())
            }
            Shape::Unknown => {
                if is_it {
                    self.unfollowed.push(place.unwrap_or(0));
                }
                Shape::Unknown
            }
            Shape::Values(shape) => (**shape).clone(),
            Shape::Each(_) | Shape::Apart => Shape::Apart,
            Shape::Empty => Shape::Empty,
        }
    }

    fn found(&mut self, at: usize) {
        self.found.push(at);
    }

    fn unfollowed(&mut self, at: usize) {
        self.unfollowed.push(at);
    }

    fn shorthand(&mut self, at: usize) {
        if self.is_quoted(at) {
            self.unfollowed.push(at);
        } else {
            self.shorthand.push(at);
        }
    }
}

/// Whether a piece of the filter is a part of another one.
fn is_within(whole: &str, part: &str) -> bool {
    whole.as_bytes().as_ptr_range().contains(&part.as_ptr())
}
