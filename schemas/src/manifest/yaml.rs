//! YAML text to trees with places.
//!
//! Reads the core schema of YAML 1.2: `true` and `false` are the only booleans, so `NO` and `on` are text. Anchors and
//! aliases work within the budgets below; merge keys, custom tags and fields whose name is not a scalar are refused. After a
//! syntax error reading goes on with the next document, so that one reading reports the errors of all documents.

use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{self, Event, Parser, ScanError, Tag};

use super::core_schema::{scalar, tag_refused};
use super::finding::Finding;
use super::node::{Entry, Node, Span, Value};
use super::{DEPTH_MAX, DOCUMENTS_MAX, MANIFEST_MAX, NODES_MAX, TEXT_MAX};
use crate::codes::Code;

/// One document that could be read.
pub(super) struct Document {
    pub(super) root: Node,
    /// The line of its first content.
    pub(super) line: u32,
}

/// What was read of a text, and what could not be.
#[derive(Default)]
pub(super) struct Read {
    pub(super) documents: Vec<Document>,
    pub(super) findings: Vec<Finding>,
}

pub(super) fn read(text: &str) -> Read {
    let mut read = Read::default();
    if text.len() > TEXT_MAX {
        let message = format!("the text is {} bytes long, the limit is {TEXT_MAX}", text.len());
        read.findings.push(Finding::new(Code::TooLarge, message).help("split it into several files"));
        return read;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: DEPTH_MAX,
        block_nesting_limit: DEPTH_MAX,
    };
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = None;
    while let Some(event) = parser.next_event() {
        let outcome = match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => step(&mut builder, &mut read, event, span),
            Err(error) => Err(syntax(&error)),
        };
        let Err(finding) = outcome else { continue };
        let fatal = read.documents.len() + read.findings.len() >= DOCUMENTS_MAX;
        read.findings.push(finding);
        builder = None;
        if fatal {
            break;
        }
        match parser.proceed_next_document() {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                read.findings.push(syntax(&error));
                break;
            }
        }
    }
    read
}

/// Takes one event; an error abandons the document.
fn step(
    builder: &mut Option<Builder>,
    read: &mut Read,
    event: Event<'_>,
    span: granit_parser::Span,
) -> Result<(), Finding> {
    match event {
        Event::DocumentStart(..) => *builder = Some(Builder::new(&span)),
        Event::DocumentEnd => {
            let Some(done) = builder.take() else { return Ok(()) };
            read.findings.extend(done.findings);
            if let Some(root) = done.root.filter(|root| !matches!(root.value, Value::Null)) {
                if read.documents.len() == DOCUMENTS_MAX {
                    let message = format!("more than {DOCUMENTS_MAX} documents");
                    return Err(Finding::new(Code::TooComplex, message)
                        .at(root.span)
                        .help("split them into several files and apply these one after the other"));
                }
                let line = root.span.map_or(1, |span| span.line);
                read.documents.push(Document { root, line });
            }
        }
        event => {
            if let Some(builder) = builder {
                builder.take(event, &span)?;
            }
        }
    }
    Ok(())
}

/// How much a node is, its content included.
#[derive(Clone, Copy, Default)]
struct Weight {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

/// A list or mapping whose end has not been read yet.
struct Open {
    span: Option<Span>,
    anchor: usize,
    weight: Weight,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    /// The fields so far, and the name of the one whose value comes next; `None` in it for a name that was refused.
    Map(Vec<Entry>, Option<(Option<String>, Option<Span>)>),
}

/// Builds the tree of one document.
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, Weight)>,
    /// Everything that was built so far, what aliases unfolded to included.
    total: Weight,
    start: Option<usize>,
    findings: Vec<Finding>,
}

impl Builder {
    fn new(span: &granit_parser::Span) -> Self {
        Self {
            root: None,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            total: Weight::default(),
            start: span.start.byte_offset(),
            findings: Vec::new(),
        }
    }

    fn take(&mut self, event: Event<'_>, span: &granit_parser::Span) -> Result<(), Finding> {
        self.check_size(span)?;
        let place = place(span);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let weight = Weight { nodes: 1, bytes: text.len(), depth: 1 };
                let value = match scalar(&text, style, tag.as_deref()) {
                    Ok(value) => value,
                    Err(finding) => {
                        self.findings.push(finding.at(place));
                        Value::Broken
                    }
                };
                // An absent value has no text of its own to point to.
                let own = place.filter(|_| span.start.index() < span.end.index());
                self.attach(Node::new(own, value), Some(&text), weight, anchor, place)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.open(Content::List(Vec::new()), anchor, tag.as_deref(), place)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                self.open(Content::Map(Vec::new(), None), anchor, tag.as_deref(), place)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(done) = self.open.pop() else { return Ok(()) };
                let value = match done.content {
                    Content::List(items) => Value::List(items),
                    Content::Map(entries, _) => Value::Map(entries),
                };
                let end_line = place.map_or(0, |end| end.line);
                let span = done.span.map(|span| Span { end_line: end_line.max(span.line), ..span });
                self.attach(Node::new(span, value), None, done.weight, done.anchor, span)?;
            }
            Event::Alias(id) => match self.anchors.get(&id) {
                Some((_, weight)) => {
                    // Before the copy is made, so that a bomb never is.
                    let weight = *weight;
                    self.afford(weight, place)?;
                    let node = self.anchors.get(&id).map(|(node, _)| node.clone());
                    let node = node.unwrap_or(Node::new(place, Value::Broken));
                    self.attach(Node { span: place, ..node }, None, weight, 0, place)?;
                }
                None => self.bad_alias("the alias refers to the value that it is a part of", place)?,
            },
            Event::UnresolvedAlias(_) => {
                self.bad_alias("the alias refers to an anchor that is not defined before it", place)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn bad_alias(&mut self, message: &str, place: Option<Span>) -> Result<(), Finding> {
        let help = "to write a text that begins with `*`, put it in quotes";
        self.findings.push(Finding::new(Code::UnsupportedYaml, message).at(place).help(help));
        self.attach(Node::new(place, Value::Broken), None, Weight { nodes: 1, bytes: 0, depth: 1 }, 0, place)
    }

    fn open(
        &mut self,
        content: Content,
        anchor: usize,
        tag: Option<&Tag>,
        span: Option<Span>,
    ) -> Result<(), Finding> {
        if tag.is_some_and(|tag| !matches!(tag.core_suffix(), Some("seq" | "map"))) {
            self.findings.push(tag_refused().at(span));
        }
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep().at(span));
        }
        self.open.push(Open { span, anchor, weight: Weight { nodes: 1, bytes: 0, depth: 1 }, content });
        Ok(())
    }

    /// Puts a finished node where it belongs. `key` is its text, should it turn out to be the name of a field.
    fn attach(
        &mut self,
        node: Node,
        key: Option<&str>,
        weight: Weight,
        anchor: usize,
        place: Option<Span>,
    ) -> Result<(), Finding> {
        // The nodes inside have been counted when they were attached; an alias and an anchor hold copies.
        let own = if key.is_some() { weight } else { Weight { nodes: 1, ..Weight::default() } };
        self.afford(own, place)?;
        if anchor != 0 {
            self.afford(weight, place)?;
            self.anchors.insert(anchor, (node.clone(), weight));
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        parent.weight.nodes += weight.nodes;
        parent.weight.bytes += weight.bytes;
        parent.weight.depth = parent.weight.depth.max(weight.depth + 1);
        match &mut parent.content {
            // An item without text is told of where it would be.
            Content::List(items) => items.push(Node { span: node.span.or(place), ..node }),
            Content::Map(entries, pending) => match pending.take() {
                Some((Some(key), key_span)) => {
                    let span = node.span.or(key_span);
                    entries.push(Entry { key, key_span, value: Node { span, ..node } });
                }
                Some((None, _)) => {}
                None => {
                    let name = field_name(&node, key);
                    let name = name.map_err(|finding| self.findings.push(finding.at(place))).ok();
                    *pending = Some((name, place));
                }
            },
        }
        Ok(())
    }

    /// Counts what is about to be held in memory.
    fn afford(&mut self, weight: Weight, place: Option<Span>) -> Result<(), Finding> {
        self.total.nodes += weight.nodes;
        self.total.bytes += weight.bytes;
        if self.open.len() + weight.depth > DEPTH_MAX + 1 {
            return Err(too_deep().at(place));
        }
        if self.total.nodes > NODES_MAX || self.total.bytes > 2 * MANIFEST_MAX {
            let message = format!("the document unfolds to more than {NODES_MAX} values or too much text");
            let help =
                "write the values out instead of referring to anchors again and again, or split the document";
            return Err(Finding::new(Code::TooComplex, message).at(place).help(help));
        }
        Ok(())
    }

    fn check_size(&self, span: &granit_parser::Span) -> Result<(), Finding> {
        let (Some(start), Some(end)) = (self.start, span.end.byte_offset()) else { return Ok(()) };
        if end.saturating_sub(start) > MANIFEST_MAX {
            let message = format!("the manifest is longer than {MANIFEST_MAX} bytes");
            let help = "put large data into a volume or an image; a manifest describes, it does not carry";
            return Err(Finding::new(Code::TooLarge, message).at(place(span)).help(help));
        }
        Ok(())
    }
}

fn field_name(node: &Node, text: Option<&str>) -> Result<String, Finding> {
    match (&node.value, text) {
        (Value::Text(name), _) if name == "<<" => {
            Err(Finding::new(Code::UnsupportedYaml, "merge keys are not part of YAML 1.2")
                .help("write the fields out"))
        }
        (Value::Text(name), _) => Ok(name.clone()),
        // `8080: x` and `true: x` name fields by their text.
        (Value::Number(..) | Value::Bool(_), Some(text)) => Ok(text.to_owned()),
        (
            Value::Number(..) | Value::Bool(_) | Value::Null | Value::List(_) | Value::Map(_) | Value::Broken,
            _,
        ) => Err(Finding::new(Code::UnsupportedYaml, "the name of a field must be text")
            .help("write `name: value`; put a name that is not plain in quotes")),
    }
}

fn too_deep() -> Finding {
    Finding::new(Code::TooComplex, format!("the document is nested more than {DEPTH_MAX} levels deep"))
        .help("no kind needs more than a dozen levels")
}

fn syntax(error: &ScanError) -> Finding {
    use granit_parser::ErrorKind;
    let mark = error.marker();
    let start = granit_parser::Span::empty(*mark);
    if matches!(error.kind(), ErrorKind::RecursionLimitExceeded | ErrorKind::AnchorCountOverflow) {
        return too_deep().at(place(&start));
    }
    let help = if matches!(error.kind(), ErrorKind::TabInBlockIndentation) {
        "indent with spaces"
    } else {
        "check indentation, quotes and the space after each `:`"
    };
    Finding::new(Code::Syntax, format!("not valid YAML: {}", error.info())).at(place(&start)).help(help)
}

/// The parser counts columns from 0.
fn place(span: &granit_parser::Span) -> Option<Span> {
    let number = |n: usize| u32::try_from(n).ok();
    let (start, end) = (span.start, span.end);
    let width =
        if start.line() == end.line() { end.col().saturating_sub(start.col()).max(1) } else { usize::MAX };
    // What ends at the beginning of a line ends on the line before.
    let last = if end.col() == 0 { end.line().saturating_sub(1) } else { end.line() };
    Some(Span {
        line: number(start.line())?.max(1),
        column: number(start.col())?.saturating_add(1),
        width: number(width).unwrap_or(u32::MAX),
        end_line: number(last.max(start.line()))?.max(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> serde_json::Value {
        let read = read(text);
        assert!(read.findings.is_empty(), "{}", read.findings[0].message);
        read.documents[0].root.to_json()
    }

    #[test]
    fn an_alias_stands_for_the_value_of_its_anchor() {
        assert_eq!(root("a: &x [1, 2]\nb: *x\n"), serde_json::json!({ "a": [1, 2], "b": [1, 2] }));
    }

    #[test]
    fn an_alias_to_itself_is_refused() {
        let read = read("a: &x [*x]\n");
        assert_eq!(read.findings[0].code, Code::UnsupportedYaml);
    }

    #[test]
    fn text_that_doubles_with_every_anchor_is_stopped() {
        let mut text = format!("a0: &a0 {}\n", "x".repeat(1000));
        for i in 1..60 {
            text += &format!("a{i}: &a{i} [*a{}, *a{}]\n", i - 1, i - 1);
        }
        assert_eq!(read(&text).findings[0].code, Code::TooComplex);
    }

    #[test]
    fn a_syntax_error_in_one_document_does_not_hide_the_next() {
        let read = read("a: [1\n---\nb: 2\n---\nc: 'x\n");
        assert_eq!((read.documents.len(), read.findings.len()), (1, 2));
        assert_eq!(read.documents[0].line, 3);
    }

    #[test]
    fn an_item_without_text_has_a_place_all_the_same() {
        let read = read("a: 1\n---\n- \n");
        let Value::List(items) = &read.documents[1].root.value else { panic!("a list") };
        assert_eq!(items[0].span.map(|span| span.line), Some(3));
    }

    #[test]
    fn places_are_those_of_keys_and_values() {
        let read = read("a:\n  bé: 'xyz'\n");
        let root = &read.documents[0].root;
        let inner = &root.entries()[0].value.entries()[0];
        let key = inner.key_span.unwrap();
        let value = inner.value.span.unwrap();
        assert_eq!((key.line, key.column, key.width), (2, 3, 2));
        assert_eq!((value.line, value.column, value.width), (2, 7, 5));
    }
}
