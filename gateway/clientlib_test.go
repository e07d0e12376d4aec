package gateway_test

import (
	"testing"

	jira "github.com/andygrunwald/go-jira"
)

// A Jira client library that is given the site's base URL and the proxy works
// unchanged for the documented operations, and learns why of the others.
func TestJiraClientLibrary(t *testing.T) {
	w := newWorld(t, change{})
	client := must(jira.NewClient(w.billing(), w.sim.DataCenterURL()+"/"))(t)

	self, _, err := client.User.GetSelf()
	if err != nil || self.DisplayName == "" {
		t.Errorf("user: %+v, %v", self, err)
	}
	projects, _, err := client.Project.GetList()
	if err != nil || len(*projects) == 0 {
		t.Errorf("projects: %v", err)
	}
	project, _, err := client.Project.Get("ACME")
	if err != nil || project.Key != "ACME" {
		t.Errorf("project: %+v, %v", project, err)
	}
	priorities, _, err := client.Priority.GetList()
	if err != nil || len(priorities) == 0 {
		t.Errorf("priorities: %v", err)
	}
	issue, _, err := client.Issue.Create(&jira.Issue{Fields: &jira.IssueFields{
		Project: jira.Project{Key: "ACME"}, Type: jira.IssueType{ID: "10002"}, Summary: "Retro: write the runbook",
	}})
	if err != nil || issue.Key == "" {
		t.Fatalf("create: %+v, %v", issue, err)
	}
	if _, err := client.Issue.Delete(issue.ID); err != nil {
		t.Errorf("delete: %v", err)
	}
	_, response, err := client.Issue.Get("ACME-1", nil)
	if err == nil || response.StatusCode != 403 {
		t.Errorf("reading an issue: %v", err)
	}
}
