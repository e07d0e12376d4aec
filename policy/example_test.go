package policy_test

import (
	"fmt"
	"os"

	"jiragate/policy"
)

func ExamplePolicy_Decide() {
	p := policy.Default()
	for _, r := range []policy.Request{
		{Edition: policy.Cloud, Method: "GET", Path: "/rest/api/3/project/%41CME", RawQuery: "expand=lead"},
		{Edition: policy.Cloud, Method: "GET", Path: "/rest/api/3/search", RawQuery: "jql=order+by+created"},
		{Edition: policy.DataCenter, Method: "GET", Path: "/rest/api/2/project/ACME;x=y/components"},
	} {
		d := p.Decide(r)
		if d.Allowed() {
			fmt.Printf("allow %s: send %s?%s\n", d.Operation.ID, d.Path(), d.RawQuery())
		} else {
			fmt.Printf("deny %s\n", d.Code)
		}
	}
	// Output:
	// allow project.get: send /rest/api/3/project/ACME?expand=lead
	// deny operation_not_documented
	// deny path_malformed
}

func ExamplePolicy_DecideBody() {
	p := policy.Default()
	r := policy.Request{Edition: policy.DataCenter, Method: "POST", Path: "/rest/api/2/issue"}
	body, d := p.DecideBody(p.Decide(r), r, "application/json",
		[]byte(`{ "update": {}, "fields": { "project": {"key": "ACME"}, "summary": "\u0041gree on <the> release" } }`))
	fmt.Println(d.Allowed(), string(body))
	// Output:
	// true {"fields":{"project":{"key":"ACME"},"summary":"Agree on <the> release"}}
}

func ExampleNew() {
	p, err := policy.New([]byte(`
version: 1
rules:
  - name: acme-only
    connections: [acme]
    deny: [issue.delete]
    projects: [ACME]
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, path := range []string{"/rest/api/3/project/ACME", "/rest/api/3/project/SECRET"} {
		d := p.Decide(policy.Request{Edition: policy.Cloud, Method: "GET", Path: path, Connection: "acme"})
		fmt.Printf("%s: allowed %t, code %q\n", path, d.Allowed(), d.Code)
	}
	// Output:
	// /rest/api/3/project/ACME: allowed true, code ""
	// /rest/api/3/project/SECRET: allowed false, code "project_not_allowed"
}

func ExampleNew_mistake() {
	_, err := policy.New([]byte("version: 1\nrules:\n  - name: a\n    denies: [issue.delete]\n"))
	fmt.Println(err)
	// Output:
	// policy rules, line 4, column 5: a rule has no key "denies"; did you mean "deny"? Known keys: name, connections, clients, deny, projects, mode
}

func ExampleCheck() {
	warnings, err := policy.Check([]byte("version: 1\nrules:\n  - {name: a, deny: [createmeta.fields]}\n"))
	fmt.Println(warnings, err)
	// Output:
	// [rule "a": createmeta.fields is off already, since "successors" does not list it] <nil>
}

func ExamplePolicy_Export() {
	if err := policy.Default().Export(os.Stdout, "pdf"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// policy export: the format "pdf" is unknown: use md, json, csv, html
}
