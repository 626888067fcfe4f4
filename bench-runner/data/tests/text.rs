//! From text to tokens: vocabularies, the token cache, and perplexity.

use std::path::Path;
use std::sync::Arc;

use crate::support::hub::StandInHub;
use bench_data::{
    Catalogue, Hub, HubOptions, Library, Silent, Splits, TokenSet, Tokenizer, Tokens, Vocabulary,
    moby_dick,
};

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
        ..HubOptions::from_env().unwrap()
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
        ..HubOptions::from_env().unwrap()
    });
    let library = Library::new(Catalogue::built_in().unwrap(), hub);
    let tokenizer = Tokenizer::Gpt2 { folder: None };
    assert_eq!(library.vocabulary("moby-dick", &tokenizer).unwrap(), gpt2);
}
