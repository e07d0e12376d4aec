package console

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"jiragate/gateway/admin"
)

// egressPage is about the addresses that calls come from.
type egressPage struct {
	admin.EgressView
	Report *admin.EgressReport // of a look just now
}

func egress(v *visit) error { return v.egress(nil) }

func (v *visit) egress(report *admin.EgressReport) error {
	p := egressPage{Report: report}
	if err := v.get(at("egress"), &p.EgressView); err != nil {
		return err
	}
	return v.show(http.StatusOK, "egress", view{Title: "Egress addresses", Section: "egress", Data: p})
}

func verifyEgress(v *visit) error {
	var report admin.EgressReport
	if _, err := v.ask(http.MethodPost, at("egress", "verify"), admin.VerifyRequest{}, &report); err != nil {
		return err
	}
	return v.egress(&report)
}

// reportsPage is the form of a report.
type reportsPage struct {
	Connection string
	Month      string
	Format     string
	Months     []string
	Problem    *admin.Problem // why the last try failed
}

// monthsBack is how many months are offered; others can be had by the command.
const monthsBack = 13

func reports(v *visit) error {
	return v.reports(http.StatusOK, reportsPage{Connection: v.r.URL.Query().Get("connection"), Month: v.r.URL.Query().Get("month")})
}

func (v *visit) reports(status int, p reportsPage) error {
	first := time.Date(v.now.Year(), v.now.Month(), 1, 0, 0, 0, 0, time.UTC)
	for i := range monthsBack {
		p.Months = append(p.Months, first.AddDate(0, -i, 0).Format("2006-01"))
	}
	return v.show(status, "reports", view{Title: "Reports", Section: "reports", Data: p})
}

func makeReport(v *visit) error {
	text := func(name string) string { return strings.TrimSpace(v.r.PostForm.Get(name)) }
	asked := admin.ReportRequest{Connection: text("connection"), Month: text("month"), Format: text("format")}
	answer, err := v.ask(http.MethodPost, at("audit", "report"), asked, nil)
	var problem *admin.Problem
	switch {
	case errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusForbidden:
		return v.reports(problem.Status, reportsPage{Connection: asked.Connection, Month: asked.Month, Format: asked.Format, Problem: problem})
	case err != nil:
		return err
	}
	return v.download(asked.Connection+"-"+asked.Month+"."+asked.Format, answer)
}

// auditPage is about the log and its proof.
type auditPage struct {
	Key        admin.AuditKey
	Checkpoint admin.AuditCheckpoint
}

func auditLog(v *visit) error {
	var p auditPage
	if err := v.get(at("audit", "key"), &p.Key); err != nil {
		return err
	}
	if err := v.get(at("audit", "checkpoint"), &p.Checkpoint); err != nil {
		return err
	}
	return v.show(http.StatusOK, "audit", view{Title: "Audit log", Section: "audit", Data: p})
}
