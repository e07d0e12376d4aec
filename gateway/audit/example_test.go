package audit_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"jiragate/gateway/audit"
)

func Example() {
	temp, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(temp)
	dir := filepath.Join(temp, "audit")

	l, err := audit.Open(audit.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}

	// A call that is allowed: an intent before it goes out, a record after.
	call := audit.Record{Client: "billing", Connection: "acme", Method: "GET", Operation: "myself.get", Decision: audit.DecisionAllow}
	pending, err := l.Begin(call)
	if err != nil {
		log.Fatal(err) // the call must not go out
	}
	call.Status = 200
	if _, err := pending.Complete(call); err != nil {
		log.Print(err)
	}

	// A call that is refused.
	if _, err := l.Append(audit.Record{Client: "billing", Connection: "acme", Method: "PUT", Decision: audit.DecisionDeny, Code: "method_not_documented", Status: 405}); err != nil {
		log.Fatal(err)
	}
	if err := l.Close(); err != nil {
		log.Fatal(err)
	}

	for entry, err := range audit.Query(dir, audit.Filter{Connection: "acme"}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(entry.Seq, entry.Method, entry.Decision, entry.Code, entry.Status)
	}
	report, err := audit.Verify(dir, audit.VerifyOptions{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Records, "records, unbroken")

	// Output:
	// 1 GET allow  200
	// 2 PUT deny method_not_documented 405
	// 2 records, unbroken
}
