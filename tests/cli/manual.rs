//! What is made from the options.

use super::tool::{Folder, run};

#[tokio::test(flavor = "multi_thread")]
async fn help_has_examples_and_the_exit_status() {
    let ran = run(&["--help"], "").await;
    assert_eq!(ran.status, 0);
    assert!(ran.text().contains("Examples:"));
    let ran = run(&["connect", "--help"], "").await;
    for part in ["Examples:", "Exit status:", "--ping-interval", "--expect", "--cacert"] {
        assert!(ran.text().contains(part), "{part}");
    }
    assert!(!ran.text().contains("SOCKEYE_AUTH="), "values of the environment may be secret");
    for command in ["serve", "bench"] {
        assert!(run(&[command, "--help"], "").await.text().contains("Examples:"));
    }
    assert_eq!(run(&[], "").await.status, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn completions_come_out_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell], "").await;
        assert_eq!(ran.status, 0);
        assert!(ran.text().contains("ping-interval"), "{shell}");
    }
    assert_eq!(run(&["completions", "teletype"], "").await.status, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn manual_pages_come_out() {
    let ran = run(&["man"], "").await;
    assert_eq!(ran.status, 0);
    for part in [".TH sockeye 1", "SOCKEYE CONNECT", "SOCKEYE BENCH", "ping\\-interval", "Exit status"] {
        assert!(ran.text().contains(part), "{part}");
    }
    let folder = Folder::new("man");
    assert_eq!(run(&["man", "--dir", folder.0.to_str().unwrap()], "").await.status, 0);
    for page in ["sockeye.1", "sockeye-connect.1", "sockeye-serve.1", "sockeye-bench.1"] {
        assert!(folder.0.join(page).is_file(), "{page}");
    }
}
