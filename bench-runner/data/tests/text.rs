//! From text to tokens: vocabularies, the token cache, and perplexity.

use std::path::Path;
use std::sync::Arc;

use crate::support::files::write_parquet;
use crate::support::hub::StandInHub;
use bench_data::{
    Catalogue, Hub, HubOptions, Library, Silent, Splits, TokenSet, Tokenizer, Tokens, Vocabulary,
    moby_dick,
};
use polars::prelude::*;
use serde_json::{Value, json};

fn library(folder: &Path, catalogue: &str) -> Library {
    std::fs::write(folder.join("datasets.toml"), catalogue).unwrap();
    let catalogue = Catalogue::built_in()
        .unwrap()
        .with_file(&folder.join("datasets.toml"))
        .unwrap();
    let options = HubOptions {
        cache: folder.join("cache"),
        offline: true,
        progress: Arc::new(Silent),
        ..HubOptions::from_env()
    };
    Library::new(catalogue, Hub::new(options))
}

#[test]
fn every_vocabulary_gives_the_text_back() {
    let text = moby_dick().unwrap().test;
    let text = &text[..20_000];
    for vocabulary in [
        Vocabulary::Bytes,
        Vocabulary::characters([text]).unwrap(),
        Vocabulary::train_bpe(text, 400).unwrap(),
    ] {
        let tokens = vocabulary.encode(text).unwrap();
        assert!(
            tokens
                .iter()
                .all(|&token| (token as usize) < vocabulary.size())
        );
        assert_eq!(vocabulary.decode(&tokens), text);
    }
}

#[test]
fn a_text_in_pieces_gives_the_same_tokens_as_the_whole() {
    let text = moby_dick().unwrap();
    let bpe = Vocabulary::train_bpe(&text.test, 600).unwrap();
    assert_eq!(
        bpe.sha256(),
        Vocabulary::train_bpe(&text.test, 600).unwrap().sha256()
    );
    let whole = bpe.encode(&text.train).unwrap();
    let set = TokenSet::new(&text, bpe).unwrap();
    assert!(set.parts.train.iter().eq(whole));
}

#[test]
fn tokens_are_cached_mapped_and_made_again_when_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path(), "");
    for tokenizer in [
        Tokenizer::Bytes,
        Tokenizer::Characters,
        Tokenizer::Bpe { size: 300 },
    ] {
        let first = library.tokens("moby-dick", &tokenizer).unwrap();
        let in_memory = TokenSet::new(&moby_dick().unwrap(), first.vocabulary.clone()).unwrap();
        assert_eq!(first, in_memory);
        assert_eq!(first.sha256(), in_memory.sha256());
        assert_eq!(first.parts.test.words(), in_memory.parts.test.words());
    }
    let cache = folder.path().join("cache/bench-runner");
    let files = || {
        let mut paths: Vec<_> = std::fs::read_dir(&cache)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        paths.retain(|path| path.extension().is_some_and(|e| e == "tokens"));
        paths
    };
    assert_eq!(files().len(), 9);
    let expected = library
        .tokens("moby-dick", &Tokenizer::Bytes)
        .unwrap()
        .sha256();
    for path in files() {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(
        library
            .tokens("moby-dick", &Tokenizer::Bytes)
            .unwrap()
            .sha256(),
        expected
    );
}

#[test]
fn plain_text_files_are_read_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(
        folder.path(),
        "[t]\ntitle = \"T\"\nlayout = \"text\"\npath = \".\"\nfiles.train = [{ path = \"a\" }, { path = \"b\" }]\nfiles.test = [{ path = \"b\" }]\nlicence = \"\"\ncitation = \"\"\n",
    );
    std::fs::write(folder.path().join("a"), "one\n").unwrap();
    std::fs::write(folder.path().join("b"), "two").unwrap();
    assert_eq!(library.text("t").unwrap().train, "one\ntwo");
    std::fs::write(folder.path().join("a"), b"one\n\xff\n").unwrap();
    let error = library.text("t").unwrap_err().to_string();
    assert!(error.contains("a row 2: not UTF-8 text"), "{error}");
    std::fs::write(folder.path().join("b"), "").unwrap();
    std::fs::write(folder.path().join("a"), "").unwrap();
    let error = library.text("t").unwrap_err().to_string();
    assert!(error.contains("no text"), "{error}");
}

#[test]
fn rows_and_files_of_text_never_run_together() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |layout: &str, name: &str, files: &[&str]| {
        let files: Vec<_> = files
            .iter()
            .map(|f| format!("{{ path = \"{f}\" }}"))
            .collect();
        let files = files.join(", ");
        format!(
            "[{name}]\ntitle = \"T\"\nlayout = \"{layout}\"\npath = \".\"\nfiles.train = [{files}]\nfiles.test = [{files}]\nlicence = \"\"\ncitation = \"\"\n"
        )
    };
    let catalogue = [
        entry("text-parquet", "rows", &["rows"]),
        entry("text-parquet", "twice", &["rows", "rows"]),
        entry("text-parquet", "wiki", &["wiki"]),
        entry("text-parquet", "one", &["one"]),
        entry("text", "files", &["a", "b"]),
    ];
    let library = library(folder.path(), &catalogue.concat());
    let write = |name: &str, rows: Vec<Option<&str>>| {
        let text = Series::new("text".into(), rows);
        let mut frame = DataFrame::new(text.len(), vec![text.into()]).unwrap();
        write_parquet(&folder.path().join(name), &mut frame, 100);
    };
    write("rows", vec![Some("alpha beta gamma delta eps"); 500]);
    // WikiText's form: a row is a line of the original with its end, or empty.
    let wiki = [Some(""), Some(" = A = \n"), Some(""), None, Some(" b c \n")];
    write("wiki", wiki.to_vec());
    write("one", vec![Some("a text in one row")]);
    let counts = |name| {
        let train = library.tokens(name, &Tokenizer::Bytes).unwrap().parts.train;
        (train.words(), train.lines())
    };
    assert_eq!(counts("rows"), (2500, 500));
    assert_eq!(counts("twice"), (5000, 1000));
    let train = |name| library.text(name).unwrap().train;
    assert_eq!(train("wiki"), "\n = A = \n\n b c \n");
    assert_eq!(train("one"), "a text in one row");
    std::fs::write(folder.path().join("a"), "one two").unwrap();
    std::fs::write(folder.path().join("b"), "three").unwrap();
    assert_eq!(train("files"), "one two\nthree");
}

#[test]
fn settings_of_a_tokenizer_that_change_results_are_cleared_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    let text = moby_dick().unwrap().test;
    let plain = Vocabulary::train_bpe(&text, 300).unwrap();
    let Vocabulary::Bpe(bpe) = &plain else {
        panic!()
    };
    bpe.save(&path).unwrap();
    let json: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut json = json.clone();
        change(&mut json);
        std::fs::write(&path, json.to_string()).unwrap();
        Vocabulary::from_file(&path)
    };
    let truncation = json!({
        "direction": "Right", "max_length": 16, "strategy": "LongestFirst", "stride": 0
    });
    let padding = json!({
        "strategy": {"Fixed": 9000}, "direction": "Right", "pad_to_multiple_of": null,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"
    });
    for (key, value) in [("truncation", truncation), ("padding", padding)] {
        let found = with(&|json| json[key] = value.clone()).unwrap();
        assert_eq!(found, plain, "{key}");
        assert_eq!(found.encode(&text).unwrap(), plain.encode(&text).unwrap());
    }
    let added = |content: &str, rstrip: bool| {
        json!([{
            "id": 300, "content": content, "single_word": false, "lstrip": false,
            "rstrip": rstrip, "normalized": false, "special": false
        }])
    };
    let refused = [
        (
            "`dropout` is 0.1",
            with(&|json| json["model"]["dropout"] = json!(0.1)),
        ),
        (
            "reaches across words",
            with(&|json| {
                json["added_tokens"] = added("the whale", false);
            }),
        ),
        (
            "reaches across words",
            with(&|json| {
                json["added_tokens"] = added("whale", true);
            }),
        ),
        (
            "token number 1000000000000 is out of range",
            with(&|json| {
                json["model"]["vocab"]["e"] = json!(1_000_000_000_000u64);
            }),
        ),
        (
            "no token for the single byte",
            with(&|json| {
                let vocabulary = json["model"]["vocab"].as_object_mut().unwrap();
                let id = vocabulary.remove("\u{100}").unwrap();
                vocabulary.insert("never".into(), id);
            }),
        ),
    ];
    for (says, result) in refused {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(error.contains("tokenizer.json"), "{error}");
    }
}

#[test]
fn a_vocabulary_of_impossible_numbers_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (vocabulary, merges) = (folder.path().join("v.json"), folder.path().join("m.txt"));
    std::fs::write(&merges, "#version: 0.2\n").unwrap();
    for (json, says) in [
        ("{\"a\": 1000000000000}", "token number 1000000000000"),
        ("{\"a\": 0, \"b\": 0}", "taken twice"),
        ("{\"a\": 0}", "no token for the single byte"),
        ("[]", ""),
        ("{\"a\u{0}\": 0}", ""),
    ] {
        std::fs::write(&vocabulary, json).unwrap();
        let error = Vocabulary::gpt2(&vocabulary, &merges).unwrap_err();
        let error = error.to_string();
        assert!(error.contains(says) && error.contains("v.json"), "{error}");
    }
}

#[test]
fn a_flipped_bit_in_what_is_cached_changes_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let text = "the whale and the sea and the ship\n".repeat(20);
    let catalogue = "[t]\ntitle = \"T\"\nlayout = \"text\"\npath = \".\"\nfiles.train = [{ path = \"a\" }]\nfiles.test = [{ path = \"a\" }]\nlicence = \"\"\ncitation = \"\"\n";
    let library = library(folder.path(), catalogue);
    std::fs::write(folder.path().join("a"), &text).unwrap();
    let tokens = || {
        let set = library.tokens("t", &Tokenizer::Bpe { size: 262 }).unwrap();
        let train = &set.parts.train;
        (set.sha256(), train.words(), train.lines())
    };
    let expected = tokens();
    let cache = folder.path().join("cache/bench-runner");
    let files = std::fs::read_dir(&cache).unwrap();
    let files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "a vocabulary and two parts");
    for path in files {
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(1 + whole.len() / 40) {
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            std::fs::remove_file(&path).unwrap();
            std::fs::write(&path, flipped).unwrap();
            assert_eq!(tokens(), expected, "{}: byte {at}", path.display());
            assert!(std::fs::read(&path).unwrap() == whole, "made again");
        }
    }
}

#[test]
fn tokens_that_cannot_be_cached_are_kept_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let library = library(folder.path(), "");
    std::fs::create_dir_all(folder.path().join("cache")).unwrap();
    std::fs::write(folder.path().join("cache/bench-runner"), "in the way").unwrap();
    let found = library.tokens("moby-dick", &Tokenizer::Bytes).unwrap();
    let expected = TokenSet::new(&moby_dick().unwrap(), Vocabulary::Bytes).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn impossible_sizes_are_refused_before_memory_is_taken() {
    let error = Vocabulary::train_bpe("abc", usize::MAX).unwrap_err();
    assert!(error.to_string().contains("at most 1048576"), "{error}");
    let text = Splits {
        train: "abc".to_string(),
        validation: None,
        test: "abc".to_string(),
    };
    let tokens = TokenSet::new(&text, Vocabulary::Bytes).unwrap().parts.train;
    let batch = tokens.batch(&[0, 1], usize::MAX, &candle_core::Device::Cpu);
    let error = batch.unwrap_err().to_string();
    assert!(error.contains("below 0"), "{error}");
}

#[test]
fn word_perplexity_does_not_depend_on_the_vocabulary() {
    let text = "the whale\nthe sea \n".to_string();
    let text = Splits {
        train: text.clone(),
        validation: None,
        test: text,
    };
    let set = TokenSet::new(&text, Vocabulary::Bytes).unwrap();
    let train = &set.parts.train;
    assert_eq!((train.len(), train.words(), train.lines()), (19, 4, 2));
    // 12 nats in all: over six words and line ends, two nats each.
    let mean = 12.0 / 19.0;
    assert!((train.word_perplexity(mean) - 2f64.exp()).abs() < 1e-12);
    assert!((Tokens::perplexity(mean) - mean.exp()).abs() < 1e-12);
}

#[test]
fn vocabularies_that_cannot_be_are_refused() {
    let says = |result: bench_data::Result<Vocabulary>| result.unwrap_err().to_string();
    assert!(says(Vocabulary::train_bpe("abc", 100)).contains("at least 257"));
    assert!(says(Vocabulary::train_bpe("abc abc", 5000)).contains("as many as the text yields"));
    assert!(says(Vocabulary::characters([""])).contains("at least one character"));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    std::fs::write(&path, "{}").unwrap();
    assert!(says(Vocabulary::from_file(&path)).contains("tokenizer.json"));
    let Vocabulary::Bpe(bpe) = Vocabulary::train_bpe("abc abc abd", 258).unwrap() else {
        panic!()
    };
    bpe.save(&path).unwrap();
    assert_eq!(Vocabulary::from_file(&path).unwrap(), Vocabulary::Bpe(bpe));
    let json = std::fs::read_to_string(&path).unwrap();
    std::fs::write(
        &path,
        json.replace("\"add_prefix_space\":false", "\"add_prefix_space\":true"),
    )
    .unwrap();
    assert!(says(Vocabulary::from_file(&path)).contains("not a byte-level encoding"));
}

#[test]
fn gpt2_tokens_are_those_of_openai() {
    let Some(folder) = std::env::var_os("GPT2_FOLDER") else {
        eprintln!("not checked: set GPT2_FOLDER to a folder with vocab.json and merges.txt");
        return;
    };
    let folder = Path::new(&folder);
    let gpt2 = Vocabulary::gpt2(&folder.join("vocab.json"), &folder.join("merges.txt")).unwrap();
    assert_eq!(gpt2.size(), 50_257);
    assert_eq!(gpt2.encode("Hello world").unwrap(), [15496, 995]);
    assert_eq!(gpt2.encode("<|endoftext|>").unwrap(), [50256]);
    let server = StandInHub::start();
    for file in ["vocab.json", "merges.txt"] {
        let revision = "607a30d783dfa663caf39e06633721c8d4cfcd7e";
        server.add_at(
            format!("/openai-community/gpt2/resolve/{revision}/{file}"),
            std::fs::read(folder.join(file)).unwrap(),
        );
    }
    let scratch = tempfile::tempdir().unwrap();
    let hub = Hub::new(HubOptions {
        endpoint: server.endpoint.clone(),
        cache: scratch.path().join("cache"),
        offline: false,
        progress: Arc::new(Silent),
        ..HubOptions::from_env()
    });
    let library = Library::new(Catalogue::built_in().unwrap(), hub);
    let tokenizer = Tokenizer::Gpt2 { folder: None };
    assert_eq!(library.vocabulary("moby-dick", &tokenizer).unwrap(), gpt2);
}
