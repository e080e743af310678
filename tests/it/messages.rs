//! Messages: from the caller, to one user, and to nobody else's eyes.

use serde_json::{Value, json};

use crate::finance::{own_id, person};
use crate::support::{START, Tester};

#[tokio::test(flavor = "multi_thread")]
async fn the_sender_is_the_caller_and_the_recipient_reads() {
    let owner = Tester::new().await;
    let (anna, anna_id) = person(&owner, "Anna", "user").await;
    let (piotr, piotr_id) = person(&owner, "Piotr", "user").await;
    let words = json!({"recipientId": piotr_id, "temat": " Jutro ", "tresc": "Montaż o ósmej."});
    let mut forged = words.clone();
    forged["senderId"] = own_id(&owner).await;
    assert_eq!(
        anna.err("message_create", forged.clone()).await,
        json!({
            "code": "forbidden",
            "message": "A message is sent by the user who calls. Leave sender_id out; nobody writes in the name of somebody else.",
        })
    );
    forged["senderId"] = anna_id.clone();
    let mut sent = anna.ok("message_create", forged).await;
    sent.as_object_mut().unwrap().shift_remove("undo_token");
    let id = sent["id"].clone();
    let unread = json!({
        "id": id, "num": 1, "sender_id": anna_id, "recipient_id": piotr_id, "temat": "Jutro", "tresc": "Montaż o ósmej.",
        "przeczytana": false, "przeczytana_at": null, "created_at": START,
    });
    assert_eq!(sent, unread);
    assert_eq!(anna.ok("message_read", json!({"id": id})).await["przeczytana"], false, "the sender does not read it");
    let inbox = piotr.ok("message_list", json!({"box": "inbox", "przeczytana": false})).await;
    assert_eq!(inbox["total"], 1);
    assert!(inbox["items"][0].get("tresc").is_none(), "the text is read with message_read: {inbox}");
    let read = piotr.ok("message_read", json!({"id": 1})).await;
    assert_eq!((&read["przeczytana"], &read["przeczytana_at"]), (&json!(true), &json!(START)));
    assert_eq!(piotr.ok("message_list", json!({"przeczytana": false})).await["total"], 0);
    for (who, filter, total) in [
        (&piotr, json!({"q": "MONTAZ"}), 1),
        (&piotr, json!({"q": "jutro montaz"}), 1),
        (&piotr, json!({"q": "obiad"}), 0),
        (&piotr, json!({"senderId": anna_id}), 1),
        (&piotr, json!({"box": "sent"}), 0),
        (&anna, json!({"box": "sent", "recipient_id": piotr_id}), 1),
        (&anna, json!({"box": "inbox"}), 0),
    ] {
        assert_eq!(who.ok("message_list", filter.clone()).await["total"], total, "{filter}");
    }
    let empty = json!({"recipient_id": piotr_id, "temat": " ", "tresc": ""});
    assert_eq!(
        anna.err("message_create", empty).await["message"],
        "/temat: must not be blank; /tresc: must not be blank"
    );
}

/// An owner holds every right and still is neither of the two.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_reads_the_messages_of_others() {
    let owner = Tester::new().await;
    let (anna, _) = person(&owner, "Anna", "user").await;
    let (piotr, piotr_id) = person(&owner, "Piotr", "user").await;
    let words = ["Tajny temat", "Tajna treść"];
    let new = json!({"recipient_id": piotr_id, "temat": words[0], "tresc": words[1]});
    let sent = anna.ok("message_create", new).await;
    let id = sent["id"].as_str().unwrap().to_owned();
    let nobodys = "01a00000-0000-7000-8000-000000000000";
    for tool in ["message_read", "message_delete"] {
        for (key, other) in [(json!(id), json!(nobodys)), (json!(1), json!(99))] {
            let none = owner.err(tool, json!({"id": other})).await.to_string();
            let written = |key: &Value| key.to_string().trim_matches('"').to_owned();
            let mut arguments = json!({"id": key});
            assert_eq!(
                owner.err(tool, arguments.clone()).await.to_string(),
                none.replace(&written(&other), &written(&key))
            );
            arguments["expected_version"] = json!(7);
            assert_eq!(owner.err(tool, arguments).await["code"], "not_found");
        }
    }
    let looked = [
        owner.ok("message_list", json!({})).await,
        owner.ok("message_list", json!({"q": "tajn"})).await,
        owner.ok("action_log_list", json!({})).await,
        owner.ok("action_undo", json!({"undo_token": sent["undo_token"], "dry_run": true})).await,
        owner.ok("fulltext_reindex", json!({})).await,
    ];
    for seen in &looked {
        let text = seen.to_string();
        assert!(!words.iter().any(|word| text.contains(word)), "{text}");
    }
    assert_eq!(looked[0]["total"], 0);
    assert_eq!(looked[1]["total"], 0);
    // Nor by what stands in the way of an undo.
    piotr.ok("message_delete", json!({"id": id})).await;
    anna.ok("message_delete", json!({"id": id})).await;
    let refused = owner.err("action_undo", json!({"undo_token": sent["undo_token"]})).await;
    assert_eq!(refused["code"], "conflict");
    let text = refused.to_string();
    assert!(!words.iter().any(|word| text.contains(word)), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_two_has_a_box_of_their_own() {
    let owner = Tester::new().await;
    let (anna, anna_id) = person(&owner, "Anna", "user").await;
    let (piotr, piotr_id) = person(&owner, "Piotr", "user").await;
    let new = json!({"recipient_id": piotr_id, "temat": "a", "tresc": "b"});
    let id = anna.ok("message_create", new.clone()).await["id"].clone();
    let deleted = piotr.ok("message_delete", json!({"id": id})).await;
    assert_eq!(piotr.ok("message_list", json!({})).await["total"], 0);
    assert_eq!(piotr.err("message_read", json!({"id": id})).await["code"], "not_found");
    assert_eq!(anna.ok("message_read", json!({"id": id})).await["tresc"], "b");
    piotr.ok("action_undo", json!({"undo_token": deleted["undo_token"]})).await;
    assert_eq!(piotr.ok("message_read", json!({"id": id})).await["przeczytana"], true);
    // What was sent by mistake is taken back until it is read.
    let mistake = anna.ok("message_create", new).await;
    anna.ok("action_undo", json!({"undo_token": mistake["undo_token"]})).await;
    assert_eq!(piotr.ok("message_list", json!({"box": "inbox"})).await["total"], 1);
    // A note to oneself is gone at once.
    let own = anna.ok("message_create", json!({"recipient_id": anna_id, "temat": "a", "tresc": "b"})).await;
    anna.ok("message_delete", json!({"id": own["id"]})).await;
    assert_eq!(anna.ok("message_list", json!({"box": "inbox"})).await["total"], 0);
}
