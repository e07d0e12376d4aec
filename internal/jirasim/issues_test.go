package jirasim_test

import (
	"strings"
	"testing"

	"jiragate/internal/jirasim"
)

const adf = `{"type":"doc","version":1,"content":[]}`

func TestCreateIssue(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	cloud := bearer(sim.IssueGrant().AccessToken)
	bot := basic(jirasim.DefaultUsername, jirasim.DefaultPassword)
	post := func(edition jirasim.Origin, fields string) answer {
		if edition == jirasim.DataCenter {
			return call(t, client, "POST", sim.DataCenterURL()+"/rest/api/2/issue", `{"fields":{`+fields+`}}`, bot)
		}
		return call(t, client, "POST", cloudURL(sim, "/rest/api/3/issue"), `{"fields":{`+fields+`}}`, cloud)
	}
	const acme = `"project":{"key":"ACME"},"issuetype":{"id":"10002"}`
	for _, row := range []struct {
		name    string
		edition jirasim.Origin
		fields  string
		status  int
		blamed  string // field
	}{
		{"by key and id", jirasim.CloudAPI, acme + `,"summary":"Do it"`, 201, ""},
		{"by id and name", jirasim.CloudAPI, `"project":{"id":"10002"},"issuetype":{"name":"Story"},"summary":"Do it"`, 201, ""},
		{"on Data Center", jirasim.DataCenter, acme + `,"summary":"Do it","description":"h1. Wiki"`, 201, ""},
		{"with everything", jirasim.CloudAPI, `"project":{"key":"ACME"},"issuetype":{"name":"Bug"},"summary":"é","description":` + adf +
			`,"priority":{"id":"2"},"components":[{"id":"10000"},{"name":"Web"}],"labels":["retro"],"duedate":"2026-05-01","customfield_10010":{"value":"Blue"},"customfield_10016":3`, 201, ""},
		{"sub-task", jirasim.CloudAPI, `"project":{"key":"ACME"},"issuetype":{"name":"Sub-task"},"summary":"x","parent":{"key":"ACME-2"}`, 201, ""},
		{"null is as good as nothing", jirasim.CloudAPI, acme + `,"summary":"x","priority":null,"description":null`, 201, ""},
		{"no project", jirasim.CloudAPI, `"issuetype":{"id":"10002"},"summary":"x"`, 400, "project"},
		{"unknown project", jirasim.CloudAPI, `"project":{"key":"NOPE"},"issuetype":{"id":"10002"},"summary":"x"`, 400, "project"},
		{"no issue type", jirasim.CloudAPI, `"project":{"key":"ACME"},"summary":"x"`, 400, "issuetype"},
		{"issue type of another project", jirasim.CloudAPI, `"project":{"key":"R2D2"},"issuetype":{"name":"Epic"},"summary":"x"`, 400, "issuetype"},
		{"no summary", jirasim.CloudAPI, acme, 400, "summary"},
		{"blank summary", jirasim.CloudAPI, acme + `,"summary":" "`, 400, "summary"},
		{"summary of two lines", jirasim.CloudAPI, acme + `,"summary":"a\nb"`, 400, "summary"},
		{"long summary", jirasim.CloudAPI, acme + `,"summary":"` + strings.Repeat("é", 256) + `"`, 400, "summary"},
		{"text for a document", jirasim.CloudAPI, acme + `,"summary":"x","description":"text"`, 400, "description"},
		{"document for a text", jirasim.DataCenter, acme + `,"summary":"x","description":` + adf, 400, "description"},
		{"unknown priority", jirasim.CloudAPI, acme + `,"summary":"x","priority":{"name":"Urgent"}`, 400, "priority"},
		{"one unknown component", jirasim.CloudAPI, acme + `,"summary":"x","components":[{"id":"10000"},{"id":"10010"}]`, 400, "components"},
		{"required field of the customer's own", jirasim.CloudAPI, `"project":{"key":"ACME"},"issuetype":{"name":"Bug"},"summary":"x"`, 400, "customfield_10010"},
		{"unknown field", jirasim.CloudAPI, acme + `,"summary":"x","security":{"id":"1"}`, 400, "security"},
		{"sub-task of nothing", jirasim.CloudAPI, `"project":{"key":"ACME"},"issuetype":{"name":"Sub-task"},"summary":"x","parent":{"key":"ACME-99"}`, 400, "parent"},
		{"no permission", jirasim.CloudAPI, `"project":{"key":"LEGAL"},"issuetype":{"name":"Task"},"summary":"x"`, 403, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := len(sim.Issues(row.edition))
			a := post(row.edition, row.fields)
			wantStatus(t, a, row.status)
			if row.blamed != "" && a.json(t, "errors", row.blamed) == nil {
				t.Errorf("%s is not blamed: %s", row.blamed, a.body)
			}
			created := len(sim.Issues(row.edition)) - before
			if want := map[bool]int{true: 1, false: 0}[row.status == 201]; created != want {
				t.Errorf("%d issues created, want %d", created, want)
			}
		})
	}

	t.Run("keys count up and links lead home", func(t *testing.T) {
		first, second := post(jirasim.DataCenter, acme+`,"summary":"1"`), post(jirasim.DataCenter, acme+`,"summary":"2"`)
		if first.json(t, "key") != "ACME-6" || second.json(t, "key") != "ACME-7" {
			t.Errorf("keys %v, %v", first.json(t, "key"), second.json(t, "key"))
		}
		if want := sim.DataCenterURL() + "/rest/api/2/issue/" + second.json(t, "id").(string); second.json(t, "self") != want {
			t.Errorf("self %v, want %v", second.json(t, "self"), want)
		}
		got := sim.Issues(jirasim.DataCenter)
		if last := got[len(got)-1]; last.Key != "ACME-7" || last.Summary != "2" || last.IssueType != "Task" || string(last.Fields["summary"]) != `"2"` {
			t.Errorf("stored %+v", last)
		}
	})
	t.Run("not JSON", func(t *testing.T) {
		wantStatus(t, call(t, client, "POST", cloudURL(sim, "/rest/api/3/issue"), `{"fields":`, cloud), 400)
		wantStatus(t, call(t, client, "POST", cloudURL(sim, "/rest/api/3/issue"), `{}`, cloud, header("Content-Type", "text/plain")), 415)
	})
}

func TestDeleteIssue(t *testing.T) {
	sim, client := start(t, jirasim.Options{})
	token := bearer(sim.IssueGrant().AccessToken)
	for _, row := range []struct {
		name   string
		issue  string
		status int
	}{
		{"by key", "ACME-1", 204},
		{"gone", "ACME-1", 404},
		{"never was", "ACME-999", 404},
		{"with sub-tasks", "ACME-2", 400},
		{"with sub-tasks, agreed", "ACME-2?deleteSubtasks=true", 204},
		{"its sub-task is gone too", "ACME-3", 404},
		{"moved, by its former key", "ACME-4", 204},
		{"moved, by its new key", "OPS-1", 404},
		{"no permission", "LEGAL-1", 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			a := call(t, client, "DELETE", cloudURL(sim, "/rest/api/3/issue/"+row.issue), "", token)
			wantStatus(t, a, row.status)
			if row.status == 204 {
				if a.body != "" {
					t.Errorf("204 with a body: %s", a.body)
				}
				return
			}
			if errors, ok := a.json(t, "errors").(map[string]any); !ok || len(errors) != 0 {
				t.Errorf("not in the shape of Jira's errors: %s", a.body)
			}
		})
	}
	if !sim.HasIssue(jirasim.DataCenter, "ACME-1") {
		t.Error("the editions share their issues")
	}
}
