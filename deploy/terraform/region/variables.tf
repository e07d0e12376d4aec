variable "name" {
  description = "Name of everything that is made."
  type        = string
}

variable "jira_region" {
  description = "JIRAGATE_REGION: us or eu."
  type        = string

  validation {
    condition     = contains(["us", "eu"], var.jira_region)
    error_message = "jira_region must be us or eu."
  }
}

variable "zones" {
  description = "The two availability zones with a subnet."
  type        = list(string)

  validation {
    condition     = length(var.zones) == 2 && length(distinct(var.zones)) == 2
    error_message = "zones must be two different availability zones."
  }
}

variable "gateway_zone" {
  description = "Which of the zones has the gateway: 0 or 1."
  type        = number

  validation {
    condition     = contains([0, 1], var.gateway_zone)
    error_message = "gateway_zone must be 0 or 1."
  }
}

variable "vpc_cidr" {
  description = "IPv4 network of the VPC."
  type        = string

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && can(regex("^[0-9.]+/16$", var.vpc_cidr))
    error_message = "vpc_cidr must be an IPv4 network with /16."
  }
}

variable "client_cidrs" {
  description = "IPv4 networks of the services that may use the proxy."
  type        = set(string)

  validation {
    condition     = alltrue([for c in var.client_cidrs : !can(regex(":", c))])
    error_message = "client_cidrs must be IPv4 networks, not IPv6: the VPC has IPv4 only."
  }

  validation {
    condition     = alltrue([for c in var.client_cidrs : can(cidrhost(c, 0)) && can(regex("/([89]|[12][0-9]|3[0-2])$", c))])
    error_message = "client_cidrs must be IPv4 networks of /8 or smaller: the proxy is not for everybody."
  }
}

variable "client_security_group_ids" {
  description = "Security groups of services that may use the proxy."
  type        = set(string)

  validation {
    condition     = alltrue([for g in var.client_security_group_ids : can(regex("^sg-[0-9a-f]+$", g))])
    error_message = "client_security_group_ids must be like sg-0123456789abcdef0."
  }
}

variable "eip_allocation_ids" {
  description = "Allocation ids of two elastic IPs that exist; empty allocates two."
  type        = list(string)

  validation {
    condition     = contains([0, 2], length(var.eip_allocation_ids)) && length(distinct(var.eip_allocation_ids)) == length(var.eip_allocation_ids)
    error_message = "eip_allocation_ids must be two different ones, or none: two addresses are promised for each region."
  }

  validation {
    condition     = alltrue([for id in var.eip_allocation_ids : can(regex("^eipalloc-[0-9a-f]+$", id))])
    error_message = "eip_allocation_ids must be like eipalloc-0123456789abcdef0."
  }
}

variable "public_ipv4_pool" {
  description = "Pool to allocate from; null is Amazon's."
  type        = string
}

variable "data_snapshot_id" {
  description = "Snapshot to make the data volume of; null makes an empty one."
  type        = string
}

variable "data_volume_gib" {
  description = "Size of the data volume in GiB."
  type        = number

  validation {
    condition     = var.data_volume_gib >= 10 && floor(var.data_volume_gib) == var.data_volume_gib
    error_message = "data_volume_gib must be a whole number, 10 at least."
  }
}

variable "architecture" {
  description = "arm64 or amd64."
  type        = string

  validation {
    condition     = contains(["arm64", "amd64"], var.architecture)
    error_message = "architecture must be arm64 or amd64."
  }
}

variable "instance_type" {
  description = "EC2 instance type of that architecture, a Nitro one."
  type        = string
}

variable "ami" {
  description = "Machine image with systemd 252 or newer, cloud-init, the AWS CLI and the SSM agent; null is Amazon Linux 2023."
  type        = string
}

variable "release_url" {
  description = "Where the program is: https://... or s3://BUCKET/KEY."
  type        = string

  validation {
    condition     = can(regex("^(https://|s3://[a-z0-9.-]+/)[A-Za-z0-9._~:/%+=-]+$", var.release_url))
    error_message = "release_url must be https://... or s3://BUCKET/KEY, without a query: a signed URL would be a secret in the state."
  }
}

variable "release_sha256" {
  description = "SHA-256 of what is there, in hexadecimal."
  type        = string

  validation {
    condition     = can(regex("^[0-9a-f]{64}$", var.release_sha256))
    error_message = "release_sha256 must be 64 lower-case hexadecimal digits, as in SHA256SUMS."
  }
}

variable "proxy_port" {
  description = "TCP port of the proxy."
  type        = number

  validation {
    condition     = var.proxy_port >= 1024 && var.proxy_port <= 65535 && var.proxy_port != 8081
    error_message = "proxy_port must be from 1024 to 65535, and not 8081, which is the admin API's."
  }
}

variable "jira_ports" {
  description = "TCP ports that the gateway may call."
  type        = set(number)

  validation {
    condition     = contains(var.jira_ports, 443) && alltrue([for p in var.jira_ports : p >= 1 && p <= 65535])
    error_message = "jira_ports must be TCP ports, 443 among them."
  }
}

variable "oauth_client_id" {
  description = "JIRAGATE_OAUTH_CLIENT_ID, or null."
  type        = string

  validation {
    condition     = var.oauth_client_id == null || can(regex("^[A-Za-z0-9._-]+$", var.oauth_client_id))
    error_message = "oauth_client_id must be letters, digits, dots, underscores and hyphens."
  }
}

variable "oauth_redirect_url" {
  description = "JIRAGATE_OAUTH_REDIRECT_URL, or null."
  type        = string

  validation {
    condition     = var.oauth_redirect_url == null || can(regex("^https://[A-Za-z0-9.:/_-]+/oauth/callback$", var.oauth_redirect_url))
    error_message = "oauth_redirect_url must be https://HOST[/PATH]/oauth/callback."
  }
}

variable "telemetry" {
  description = "An OTLP collector, or null."

  type = object({
    endpoint = string
    cidr     = string
    port     = number
  })

  validation {
    condition     = var.telemetry == null || can(regex("^https?://[A-Za-z0-9.:/_-]+$", var.telemetry.endpoint)) && can(cidrhost(var.telemetry.cidr, 0))
    error_message = "telemetry needs the URL of a collector, without credentials, and its IPv4 network."
  }

  validation {
    condition     = var.telemetry == null || !can(regex(":", var.telemetry.cidr))
    error_message = "telemetry.cidr must be an IPv4 network, not IPv6: the VPC has IPv4 only."
  }

  # A private network is the VPC, or one that is joined to it.
  validation {
    condition     = var.telemetry == null || can(regex("^https:", var.telemetry.endpoint)) || can(regex("^(10\\.[0-9.]+/([89]|[12][0-9]|3[0-2])|172\\.(1[6-9]|2[0-9]|3[01])\\.[0-9.]+/(1[2-9]|2[0-9]|3[0-2])|192\\.168\\.[0-9.]+/(1[6-9]|2[0-9]|3[0-2]))$", var.telemetry.cidr))
    error_message = "telemetry by http:// would cross the internet in clear, audit records too: use https://, or a collector whose telemetry.cidr is a private network (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16)."
  }
}

variable "secrets" {
  description = "ARNs of secrets in Secrets Manager."

  type = object({
    proxy_tls_cert      = string
    proxy_tls_key       = string
    proxy_client_ca     = optional(string)
    oauth_client_secret = optional(string)
    webhook_secret      = optional(string)
  })

  validation {
    condition     = alltrue([for arn in values(var.secrets) : arn == null || can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+$", arn))])
    error_message = "secrets must be ARNs of Secrets Manager, arn:aws:secretsmanager:REGION:ACCOUNT:secret:NAME; never the secrets themselves."
  }
}

variable "environment" {
  description = "Further settings, which are no secrets."
  type        = map(string)

  validation {
    condition     = alltrue([for k, v in var.environment : can(regex("^(JIRAGATE|OTEL)_[A-Z0-9_]+$", k)) && can(regex("^[A-Za-z0-9.,:;/_=@%+\\[\\]-]+$", v))])
    error_message = "environment must be JIRAGATE_... or OTEL_... variables; their values must not have spaces, quotes, dollar signs or backslashes."
  }

  validation {
    condition     = !anytrue([for k in keys(var.environment) : can(regex("_(SECRET|PASSWORD|HEADERS)$", k))])
    error_message = "environment must not have secrets, or headers that may hold some: state and user data would have them in clear."
  }

  validation {
    condition     = !anytrue([for k in keys(var.environment) : can(regex("^JIRAGATE_(REGION|EGRESS|EGRESS_FILE|DATA_DIR|KEY_URI|STORE|PROXY_.*|ADMIN_.*)$", k))])
    error_message = "environment must not set what this module sets, open the admin API to the network, or move the store away: one gateway with its own data is what is built here."
  }
}

variable "checkpoints" {
  description = "Bucket that gets the checkpoints of the audit log, or null."

  type = object({
    bucket = string
    region = string
  })
}

variable "kms_endpoint" {
  description = "Whether KMS is reached by an interface endpoint."
  type        = bool
}
