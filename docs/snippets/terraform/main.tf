terraform {
  required_providers {
    workato = { source = "local/workato" }
  }
}

variable "base_url" {
  default = "https://127.0.0.1:8090"
}

provider "workato" {
  base_url = var.base_url
  api_key  = "sandbox"
}

resource "workato_project" "tenants" {
  name = "Tenants"
}

resource "workato_folder" "acme" {
  name      = "Acme"
  folder_id = workato_project.tenants.folder_id
}

resource "workato_connection" "warehouse" {
  name           = "Warehouse"
  connector_name = "postgresql"
  folder_id      = workato_folder.acme.id
  input          = jsonencode({ host = "db" })
}
