package diagnosis

import "net/http"

// quotation is an answer as it was seen or documented.
type quotation struct {
	name    string
	edition Edition
	status  int
	header  http.Header
	body    string
	want    Reason
}

func field(pairs ...string) http.Header {
	h := make(http.Header)
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

// Header fields of answers of Jira and of Cloudflare.
var (
	fromNode = field("X-AREQUESTID", "945x62874x1", "X-ANODEID", "node1")
	let      = field("X-AREQUESTID", "945x62874x1", "X-Seraph-LoginReason", "OK", "X-AUSERNAME", "jira-bot")
	flare    = field("Server", "cloudflare", "CF-RAY", "82f7fccf2b0f820e-IAD")
)

const (
	nginxPage = "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n<hr><center>nginx/1.31.6</center>\r\n</body>\r\n</html>\r\n"

	bannedPage = `<!DOCTYPE html>
<!--[if lt IE 7]> <html class="no-js ie6 oldie" lang="en-US"> <![endif]-->
<!--[if gt IE 8]><!--> <html class="no-js" lang="en-US"> <!--<![endif]-->
<head><title>Access denied | jira.acme.example used Cloudflare to restrict access</title>
<style>body{margin:0;padding:0}</style></head>
<body><div id="cf-wrapper"><div id="cf-error-details" class="cf-error-details-wrapper"><div class="cf-wrapper cf-header cf-error-overview">
<h1><span class="cf-error-type" data-translate="error">Error</span>
<span class="cf-error-code">1006</span>
<small class="heading-ray-id">Ray ID: 82f7fccf2b0f820e &bull; 2023-12-03 01:20:30 UTC</small></h1>
<h2 class="cf-subheadline">Access denied</h2></div>
<h2>What happened?</h2><p>The owner of this website (jira.acme.example) has banned your IP address (203.0.113.7).</p>
<span id="cf-footer-item-ip" class="cf-footer-item hidden sm:block sm:mb-1">Your IP:
<button type="button" id="cf-footer-ip-reveal" class="cf-footer-ip-reveal-btn">Click to reveal</button>
<span class="hidden" id="cf-footer-ip">203.0.113.7</span></span></div></div></body></html>`

	blockedPage = `<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head><body><div id="cf-error-details">
<h1 data-translate="block_headline">Sorry, you have been blocked</h1><h2>You are unable to access acme.example</h2></div></body></html>`

	cloudFrontPage = `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01 Transitional//EN" "http://www.w3.org/TR/html4/loose.dtd">
<HTML><HEAD><META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=iso-8859-1">
<TITLE>ERROR: The request could not be satisfied</TITLE></HEAD><BODY><H1>403 ERROR</H1>
<H2>The request could not be satisfied.</H2><HR noshade size="1px">Request blocked.</BODY></HTML>`

	f5Page = `<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please consult with your administrator.<br><br>Your support ID is: 11510335293263535625</body></html>`
)

// refusals are what Jira and what stands in front of it say, each with its source.
var refusals = []quotation{
	// https://confluence.atlassian.com/pages/viewpage.action?pageId=1384133808
	// ("Scope of IP Allowlists in Atlassian Cloud"); the status is not told.
	{"IP allowlist", Cloud, 403, nil,
		`{"errorMessages":["The IP address has been rejected because it is not on the allowed list. See your admin for more information."],"errors":{}}`, IPRefused},
	{"IP allowlist with another status", Cloud, 401, nil,
		`{"errorMessages": ["The IP address has been rejected because it is not on the allowed list. See your admin for more information."], "errors": {}}`, IPRefused},
	// https://appfire.atlassian.net/wiki/spaces/SUPPORT/pages/1331790156 (API token
	// validation), which has it in both spellings.
	{"IP allowlist, the short form", Cloud, 403, nil,
		`{"errorMessages":["The IP address has been rejected because it is not on the allowed list."],"errors":{}}`, IPRefused},
	{"IP allowlist, misspelt", Cloud, 403, nil,
		`{"errorMessages":["The IP address has been rejected because it is not on the allowedlist. See your admin for more information."],"errors":{}}`, IPRefused},
	// Atlassian's troubleshooting of the Rovo MCP server, which calls Jira for its
	// users: "usually indicates that IP allowlisting is enabled". The text is
	// Atlassian's, the object around it assumed.
	{"IP allowlist, through Atlassian's MCP server", Cloud, 403, nil,
		`{"code":403,"message":"You don't have permission to connect from this IP address. Please ask your admin for access."}`, IPRefused},

	// https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-1xxx-errors/,
	// the page as collected by public crawlers.
	{"Cloudflare 1006", DataCenter, 403, flare, bannedPage, IPRefused},
	// What Cloudflare sends to who does not ask for HTML, quoted in
	// "Client error: … resulted in a `403 Forbidden` response: error code: 1006".
	{"Cloudflare 1006 in plain text", DataCenter, 403, flare, "error code: 1006", IPRefused},
	{"Cloudflare 1009 in plain text", DataCenter, 403, flare, "error code: 1009\n", IPRefused},
	{"Cloudflare 1020 in plain text", DataCenter, 403, flare, "  error code: 1020\n", FirewallRefused},
	// To who asks for JSON (RFC 9457), as seen with 502 and 1010.
	{"Cloudflare 1010 in JSON", DataCenter, 403, flare,
		`{"type":"https://developers.cloudflare.com/x","title":"Error 1010: Access denied","status":403,"error_code":1010,"error_name":"browser_signature_banned","error_category":"access_denied","cloudflare_error":true}`, FirewallRefused},
	{"Cloudflare 1006 in JSON", DataCenter, 403, flare,
		`{"title":"Error 1006: Access denied","status":403,"error_code":1006,"cloudflare_error":true}`, IPRefused},
	{"Cloudflare's WAF", DataCenter, 403, flare, blockedPage, FirewallRefused},
	{"Cloudflare's challenge", DataCenter, 403, field("Server", "cloudflare", "Cf-Mitigated", "challenge"),
		`<!DOCTYPE html><html lang="en-US"><head><title>Just a moment...</title></head><body></body></html>`, FirewallRefused},

	// nginx's page for `deny all`, src/http/ngx_http_special_response.c.
	{"nginx", DataCenter, 403, field("Server", "nginx/1.31.6"), nginxPage, FirewallRefused},
	{"nginx behind Cloudflare", DataCenter, 403, flare, nginxPage, FirewallRefused},
	// The same page in the name of others: AWS's load balancer (with its WAF), Azure's
	// Application Gateway. The former is seen with 400 and assumed for 403.
	{"AWS load balancer", DataCenter, 403, field("Server", "awselb/2.0"),
		"<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n", FirewallRefused},
	{"Azure Application Gateway", DataCenter, 403, field("Server", "Microsoft-Azure-Application-Gateway/v2"),
		"<html>\n<head><title>403 Forbidden</title></head>\n<body>\n<center><h1>403 Forbidden</h1></center>\n<hr><center>Microsoft-Azure-Application-Gateway/v2</center>\n</body>\n</html>", FirewallRefused},
	{"Apache", DataCenter, 403, field("Server", "Apache/2.4.62"),
		"<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\">\n<html><head>\n<title>403 Forbidden</title>\n</head><body>\n<h1>Forbidden</h1>\n<p>You don't have permission to access this resource.</p>\n</body></html>\n", FirewallRefused},
	// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/http-403-permission-denied.html
	{"CloudFront", DataCenter, 403, field("Server", "CloudFront"), cloudFrontPage, FirewallRefused},
	// BIG-IP ASM's default blocking page; its status is 200 unless it was changed.
	{"F5", DataCenter, 403, nil, f5Page, FirewallRefused},

	// https://github.com/raycast/extensions/issues/11212
	{"scope", Cloud, 401, nil, `{"code":401,"message":"Unauthorized; scope does not match"}`, ScopeRefused},
	// RFC 6750 section 3.1.
	{"scope said in the header", DataCenter, 403, field("WWW-Authenticate", `Bearer realm="jira", error="insufficient_scope", scope="WRITE"`), "", ScopeRefused},

	// https://github.com/ankitpokhrel/jira-cli/issues/353
	{"CAPTCHA", DataCenter, 403, field("X-Authentication-Denied-Reason", "CAPTCHA_CHALLENGE; login-url=https://jira.example/login.jsp",
		"X-Seraph-LoginReason", "AUTHENTICATION_DENIED"), "<html><head><title>Forbidden (403)</title></head></html>", CaptchaRequired},
	{"CAPTCHA said by Seraph alone", DataCenter, 403, field("X-Seraph-LoginReason", "AUTHENTICATION_DENIED"), "", CaptchaRequired},

	// https://developer.atlassian.com/cloud/jira/platform/rate-limiting/; the status decides
	{"rate limit", Cloud, 429, field("Retry-After", "5", "RateLimit-Reason", "jira-burst-based"), `{"errorMessages":["Rate limit exceeded."],"errors":{}}`, RateLimited},
	// https://confluence.atlassian.com/adminjiraserver/improving-instance-stability-with-rate-limiting-983794911.html
	{"rate limit of Data Center", DataCenter, 429, field("X-RateLimit-Remaining", "0"), `{"message":"Rate limit exceeded."}`, RateLimited},
	// Seen of a Data Center with another language.
	{"rate limit in Korean", DataCenter, 429, nil, `{"message":"속도 제한이 초과되었습니다."}`, RateLimited},

	// Seen by many users of Atlassian's connectors, as
	// `403 Forbidden. Details: {"code": 403, "message": …}`; one traced it to scopes.
	{"app not installed", Cloud, 403, nil, `{"code":403,"message":"The app is not installed on this instance"}`, AppRefused},
	// https://support.atlassian.com/atlassian-cloud/kb/your-site-admin-must-authorize-this-app-error-in-atlassian-cloud-apps,
	// which has it of the consent page; the object around it is assumed.
	{"app not authorised", Cloud, 403, nil,
		`{"message":"Your site admin must authorize this app for the site acme.atlassian.net before the app can access your account."}`, AppRefused},

	// Client libraries' tests and logs of sites that were deleted or have no Jira any more.
	{"no such site", Cloud, 404, field("Atl-Missing-Tcs", "true"), `{"errorCode":"OTHER","errorMessage":"Site temporarily unavailable"}`, SiteUnavailable},
	{"no such site, told by the body", Cloud, 404, nil, `{"errorMessage":"Site temporarily unavailable","errorCode":"OTHER"}`, SiteUnavailable},
	{"no such site, told by the header", Cloud, 404, field("Atl-Missing-Tcs", "true"), "<html></html>", SiteUnavailable},
	// https://github.com/OctopusDeploy/Issues/issues/7463, during an outage
	{"site unavailable, as a page", Cloud, 503, nil,
		`<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Atlassian Cloud Notifications - Page Unavailable</title></head></html>`, SiteUnavailable},
	// Jira's own tests (IssueCreationHelperBean, validateLicense).
	{"licence expired", DataCenter, 400, let,
		`{"errorMessages":["You will not be able to create new issues because your JIRA evaluation period has expired, please contact your JIRA administrators."],"errors":{}}`, SiteUnavailable},
	{"too many users", DataCenter, 400, let,
		`{"errorMessages":["You will not be able to create new issues because the user limit for your JIRA instance has been exceeded, please contact your JIRA administrators."],"errors":{}}`, SiteUnavailable},

	// https://codeclou.io/blog/2021/03/disabling-basic-auth-in-jira-and-allowlisting-customfield-editor-rest-api/
	{"basic authentication disabled", DataCenter, 403, nil, `{"message":"Basic Authentication has been disabled on this instance."}`, BasicAuthDisabled},

	// Jira's functional tests of REST (TestIssueResourceDelete).
	{"may not delete", DataCenter, 403, nil, `{"errorMessages":["You do not have permission to delete issues in this project."],"errors":{}}`, PermissionRefused},
	// Jira REST Java client's tests: Jira 5 said so with 401.
	{"may not delete, in Jira 5", DataCenter, 401, let, `{"errorMessages":["You do not have permission to delete issues in this project."],"errors":{}}`, PermissionRefused},
	{"may not create", Cloud, 403, nil, `{"errorMessages":["You do not have permission to create issues in this project."],"errors":{}}`, PermissionRefused},
	{"may not see", DataCenter, 403, nil, `{"errorMessages":["You do not have the permission to see the specified issue."],"errors":{}}`, PermissionRefused},
	// The text is that of a client's test.
	{"no access to Jira", Cloud, 403, nil, `{"errorMessages":["Current user not permitted to use Jira"]}`, PermissionRefused},
	// Atlassian's specification of the REST API v3, examples of 403.
	{"not an administrator", Cloud, 403, nil,
		`{"errorMessages":["You are not authorized to perform this action. Administrator privileges are required."],"errors":{}}`, PermissionRefused},
	// Made up: Jira speaks the account's language, and Seraph's header none.
	{"may not delete, in German", DataCenter, 403, let, `{"errorMessages":["Sie haben keine Berechtigung, Vorgänge in diesem Projekt zu löschen."],"errors":{}}`, PermissionRefused},

	// https://support.atlassian.com/atlassian-cloud/kb/xsrf-check-failed-when-calling-cloud-apis
	{"XSRF check", Cloud, 403, nil, "XSRF check failed. More information at https://confluence.atlassian.com/x/DhpJMQ", XSRFRefused},
	{"XSRF check of Data Center", DataCenter, 403, let, "XSRF check failed", XSRFRefused},
}

// lookAlikes must not be taken for what they look like.
var lookAlikes = []quotation{
	{"an issue about allowlists was read", Cloud, 200, nil,
		`{"errorMessages":["The IP address has been rejected because it is not on the allowed list. See your admin for more information."],"errors":{}}`, ""},
	{"a field's value about allowlists", Cloud, 400, nil,
		`{"errorMessages":[],"errors":{"summary":"The IP address has been rejected because it is not on the allowed list. See your admin for more information."}}`, ""},
	{"a quoted value about allowlists", Cloud, 400, nil,
		`{"errorMessages":["Option value 'The IP address has been rejected because it is not on the allowed list.' is not valid"],"errors":{}}`, ""},
	{"a member that Jira does not speak in", Cloud, 403, nil, `{"key":"The app is not installed on this instance","error":"The app is not installed on this instance"}`, ""},
	{"a message inside", Cloud, 403, nil, `{"errors":{"message":"The app is not installed on this instance"}}`, ""},
	{"a message that isn't text", Cloud, 403, nil, `{"message":["The app is not installed on this instance"],"errorMessages":"Site temporarily unavailable"}`, ""},
	{"Cloud's texts from Data Center", DataCenter, 403, nil, `{"code":403,"message":"The app is not installed on this instance"}`, ""},
	{"Data Center's texts from Cloud", Cloud, 403, nil, `{"message":"Basic Authentication has been disabled on this instance."}`, ""},
	{"an edition that isn't known", "server", 429, nil, "", ""},
	{"a status that isn't one", Cloud, 999, nil, `{"code":403,"message":"The app is not installed on this instance"}`, ""},

	// https://github.com/ankitpokhrel/jira-cli/issues/353 and others
	{"wrong password", DataCenter, 401, field("X-Seraph-LoginReason", "AUTHENTICATED_FAILED"),
		"<html><head><title>Unauthorized (401)</title></head><body><h1>Unauthorized (401)</h1>Basic Authentication Failure - Reason : AUTHENTICATED_FAILED</body></html>", ""},
	{"token expired", Cloud, 401, nil, `{"code":401,"message":"Unauthorized"}`, ""},
	{"a bare 403 of the edge", Cloud, 403, nil, `{"code":403,"message":"Forbidden"}`, ""},
	{"a bare 404 of the edge", Cloud, 404, nil, `{"code":404,"message":"Not Found"}`, ""},
	// Atlassian's edge takes the token for that of a Connect app.
	{"bearer token at the site's host", Cloud, 403, nil, `{"error":"Failed to parse Connect Session Auth Token"}`, ""},
	{"a bad API token", Cloud, 401, nil, `{"message":"Request rejected because issuer is either not authorized or not authorized to impersonate","status-code":401}`, ""},
	{"a method without OAuth", Cloud, 403, nil, `{"code":403,"message":"OAuth 2.0 is not enabled for this method."}`, ""},
	{"not there, or not to be seen", Cloud, 404, nil, `{"errorMessages":["Issue does not exist or you do not have permission to see it."],"errors":{}}`, ""},
	// Who has not logged in may well have the permission.
	{"not logged in", DataCenter, 401, fromNode, `{"errorMessages":["You do not have the permission to see the specified issue.","Login Required"],"errors":{}}`, ""},
	{"anonymous", DataCenter, 403, nil, `{"errorMessages":["Anonymous users do not have permission to create issues in this project. Please try logging in first."],"errors":{}}`, ""},
	{"Jira's own page", DataCenter, 403, let, "<html><head><title>Forbidden (403)</title></head><body><h1>Forbidden (403)</h1></body></html>", ""},
	{"let in and failed", DataCenter, 403, field("X-Seraph-LoginReason", "OK, AUTHENTICATED_FAILED"), `{"errorMessages":["Nein."],"errors":{}}`, ""},
	{"a collection with errors of fields alone", DataCenter, 403, let, `{"errorMessages":[],"errors":{"summary":"Nein."}}`, ""},

	{"nginx's page served by Jira", DataCenter, 403, fromNode, nginxPage, ""},
	{"nginx's page on Cloud", Cloud, 403, nil, nginxPage, ""},
	{"nginx, but no refusal", DataCenter, 502, nil, "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>", ""},
	{"a page that talks about refusals", DataCenter, 403, nil, "<html><head><title>Wiki</title></head><body><h1>403 Forbidden</h1>The requested URL was rejected.</body></html>", ""},
	{"a title in a script", DataCenter, 403, nil, "<html><script>'<title>403 Forbidden</title><h1>403 Forbidden</h1>'</script><body></body></html>", ""},
	{"Cloudflare's page from somebody else", DataCenter, 403, nil, bannedPage, ""},
	{"Cloudflare's page through Jira", DataCenter, 403, field("Server", "cloudflare", "X-AREQUESTID", "1x1x1"), bannedPage, ""},
	{"a number that Cloudflare doesn't vouch for", DataCenter, 403, flare, `{"error_code":1006}`, ""},
	{"another error of Cloudflare's", DataCenter, 403, flare, "error code: 1034", ""},
	{"F5 as it is by default", DataCenter, 200, nil, f5Page, ""},
	{"Tomcat", DataCenter, 403, nil, "<html><head><title>HTTP Status 403 – Forbidden</title></head><body><h1>HTTP Status 403 – Forbidden</h1></body></html>", ""},

	{"a scope in somebody's realm", DataCenter, 401, field("WWW-Authenticate", `Bearer realm="insufficient_scope", error="invalid_token"`), "", ""},
	{"a scope of another scheme", DataCenter, 403, field("WWW-Authenticate", `OAuth error="insufficient_scope"`), "", ""},
	{"another challenge", DataCenter, 403, field("X-Authentication-Denied-Reason", "NO_CAPTCHA_CHALLENGE"), "", ""},
	{"nothing", DataCenter, 403, nil, "", ""},
	{"an encoded body", Cloud, 403, nil, "\x1f\x8b\x08\x00The app is not installed on this instance", ""},
	{"a list", Cloud, 403, nil, `["The app is not installed on this instance"]`, ""},
	{"a long text", Cloud, 403, nil, "XSRF check failed" + string(make([]byte, maxMessage)), ""},
}
