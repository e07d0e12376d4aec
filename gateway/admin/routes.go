package admin

import "net/http"

// route is one operation of the API. The OpenAPI document has each, and no other.
type route struct {
	method  string
	path    string // as http.ServeMux has it
	role    Role   // the least that may use it
	handler handlerFunc
	// recorded routes refuse by themselves those who may not use them, since that is a
	// record, too.
	recorded bool
}

func (t route) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := permit(r.Context(), t.role); err != nil && !t.recorded {
		writeProblem(w, err)
		return
	}
	t.handler.ServeHTTP(w, r)
}

// routes lists the operations of the API.
func (a *API) routes(detail readinessDetail) []route {
	var list []route
	handle := func(role Role, method, path string, h handlerFunc) {
		list = append(list, route{method: method, path: path, role: role, handler: h})
	}
	stored := func(role Role, method, path string, h handlerFunc) { handle(role, method, path, a.withStore(h)) }
	change := func(role Role, method, path, operation string, h changeFunc) {
		list = append(list, route{method, path, role, a.withStore(a.recorded(role, operation, h)), true})
	}

	handle(RoleNone, "GET", "/healthz", a.health)
	handle(RoleNone, "GET", "/readyz", a.ready(detail))
	handle(RoleNone, "GET", descriptionPath, a.describe)

	stored(RoleViewer, "GET", "/v1/overview", a.showOverview)

	stored(RoleViewer, "GET", "/v1/connections", a.listConnections)
	change(RoleAdmin, "POST", "/v1/connections", "admin.connection.add", a.addConnection)
	stored(RoleViewer, "GET", "/v1/connections/{id}", a.showConnection)
	change(RoleAdmin, "DELETE", "/v1/connections/{id}", "admin.connection.remove", a.removeConnection)
	stored(RoleAdmin, "POST", "/v1/connections/{id}/test", a.testConnection)
	change(RoleAdmin, "POST", "/v1/connections/{id}/disable", "admin.connection.disable", a.disableConnection)
	change(RoleAdmin, "POST", "/v1/connections/{id}/enable", "admin.connection.enable", a.enableConnection)
	change(RoleAdmin, "PUT", "/v1/connections/{id}/credential", "admin.connection.credential", a.replaceCredential)
	change(RoleAdmin, "POST", "/v1/connections/{id}/consent", "admin.connection.consent", a.inviteAgain)
	change(RoleAdmin, "POST", "/v1/connections/{id}/issues", "admin.issue.import", a.importIssues)

	stored(RoleViewer, "GET", "/v1/clients", a.listClients)
	change(RoleAdmin, "POST", "/v1/clients", "admin.client.add", a.addClient)
	stored(RoleViewer, "GET", "/v1/clients/{name}", a.showClient)
	change(RoleAdmin, "DELETE", "/v1/clients/{name}", "admin.client.remove", a.removeClient)
	change(RoleAdmin, "POST", "/v1/clients/{name}/token", "admin.client.rotate", a.rotateToken)
	change(RoleAdmin, "PUT", "/v1/clients/{name}/grants/{connection}", "admin.client.grant", a.grant)
	change(RoleAdmin, "DELETE", "/v1/clients/{name}/grants/{connection}", "admin.client.revoke", a.revoke)

	stored(RoleAdmin, "GET", "/v1/keys", a.withKeys(a.listKeys))
	change(RoleAdmin, "POST", "/v1/keys/prepare", "admin.key.prepare", a.prepareKey)
	change(RoleAdmin, "POST", "/v1/keys/rotate", "admin.key.rotate", a.rotateKey)
	change(RoleAdmin, "POST", "/v1/keys/rewrap", "admin.key.rewrap", a.rewrap)
	change(RoleAdmin, "POST", "/v1/keys/drop", "admin.key.drop", a.dropKeys)

	stored(RoleViewer, "GET", "/v1/ca", a.withKeys(a.showCA))
	change(RoleAdmin, "POST", "/v1/ca/prepare", "admin.ca.prepare", a.prepareCA)
	change(RoleAdmin, "POST", "/v1/ca/rotate", "admin.ca.rotate", a.rotateCA)

	stored(RoleViewer, "GET", "/v1/audit/key", a.showAuditKey)
	change(RoleAdmin, "POST", "/v1/audit/key/rotate", "admin.audit.rotate", a.rotateAuditKey)
	stored(RoleCompliance, "POST", "/v1/audit/pseudonym", a.showPseudonym)
	log := a.o.Log
	handle(RoleViewer, "GET", "/v1/audit/records", withLog(log.Query != nil, "records", a.listRecords))
	handle(RoleViewer, "GET", "/v1/audit/records/stream", withLog(log.Watch != nil, "records as they are written", a.streamRecords))
	handle(RoleViewer, "GET", "/v1/audit/records/{ref}", withLog(log.Query != nil, "records", a.showRecord))
	handle(RoleCompliance, "GET", "/v1/audit/records/{ref}/proof", withLog(log.Query != nil && log.Prove != nil, "a proof", a.proveRecord))
	handle(RoleViewer, "GET", "/v1/audit/checkpoint", withLog(log.Newest != nil && log.Length != nil, "the checkpoint", a.showCheckpoint))
	handle(RoleViewer, "GET", "/v1/audit/activity", withLog(log.Activity != nil, "charts", a.showActivity))
	stored(RoleCompliance, "GET", "/v1/audit/nodes", a.listNodes)
	change(RoleAdmin, "POST", "/v1/audit/nodes/{node}/retire", "admin.audit.node.retire", a.retireNode)
	change(RoleCompliance, "POST", "/v1/audit/report", "admin.audit.report", a.makeReport)
	change(RoleCompliance, "POST", "/v1/audit/report/signature", "admin.audit.report", a.signReport)
	change(RoleCompliance, "POST", "/v1/audit/report/checksums", "admin.audit.report", a.signReportFiles)

	handle(RoleViewer, "GET", "/v1/policy", a.showPolicy)
	handle(RoleViewer, "GET", "/v1/policy/history", a.listPolicies)
	handle(RoleViewer, "GET", "/v1/policy/history/{sha256}", a.showKeptPolicy)
	handle(RoleViewer, "GET", "/v1/policy/diff", a.diffPolicies)
	handle(RoleViewer, "GET", "/v1/policy/codes", a.listCodes)
	handle(RoleViewer, "POST", "/v1/policy/explain", a.explain)
	handle(RoleViewer, "GET", "/v1/egress", a.showEgress)
	stored(RoleViewer, "GET", "/v1/egress/publication", a.publishEgress)
	change(RoleAdmin, "POST", "/v1/egress/verify", "admin.egress.verify", a.verifyEgress)
	change(RoleAdmin, "POST", "/v1/egress/addresses/{address}/announce", "admin.egress.announce", a.announceEgress)
	change(RoleAdmin, "POST", "/v1/egress/addresses/{address}/retire", "admin.egress.retire", a.retireEgress)

	change(RoleAdmin, "POST", "/v1/reload", "admin.reload", a.reload)

	change(RoleAdmin, "GET", "/v1/store/backup", "admin.store.backup", a.backup)
	stored(RoleAdmin, "POST", "/v1/store/check", a.checkStore)

	change(RoleAdmin, "POST", "/v1/upgrade", "admin.upgrade", a.upgrade)
	return list
}

// metricsPath is where what is measured can be read.
const metricsPath = "/metrics"

// mux serves the routes to callers who may use them.
func (a *API) mux(detail readinessDetail) http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.routes(detail) {
		mux.Handle(r.method+" "+r.path, r)
	}
	if a.o.Metrics != nil {
		mux.Handle("GET "+metricsPath, a.o.Metrics)
	}
	mux.Handle("/", handlerFunc(func(_ http.ResponseWriter, r *http.Request) error {
		return refuse(http.StatusNotFound, CodeNotFound, "the admin API has no %s %s", r.Method, r.URL.Path)
	}))
	return mux
}
