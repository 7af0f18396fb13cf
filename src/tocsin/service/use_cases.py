"""Every use case behind one name, for the API, the console and the commands."""

from tocsin.service.audit import Audit
from tocsin.service.authentication import Authentication
from tocsin.service.business_activities import BusinessActivities
from tocsin.service.categories import Categories
from tocsin.service.context import Context
from tocsin.service.deliveries import Deliveries
from tocsin.service.event_feed import EventFeed
from tocsin.service.feedbacks import Feedbacks
from tocsin.service.members import Members
from tocsin.service.operations import Operations
from tocsin.service.organizations import Organizations
from tocsin.service.people import People
from tocsin.service.places import Places
from tocsin.service.replays import Replays
from tocsin.service.reports import Reports
from tocsin.service.tokens import Tokens
from tocsin.service.webhooks import Webhooks


class UseCases:
    def __init__(self, context: Context) -> None:
        self.context = context
        self.authentication = Authentication(context)
        self.people = People(context)
        self.organizations = Organizations(context)
        self.members = Members(context)
        self.tokens = Tokens(context)
        self.business_activities = BusinessActivities(context)
        self.categories = Categories(context)
        self.places = Places(context)
        self.feedbacks = Feedbacks(context)
        self.reports = Reports(context)
        self.operations = Operations(context)
        self.webhooks = Webhooks(context)
        self.deliveries = Deliveries(context)
        self.replays = Replays(context)
        self.event_feed = EventFeed(context)
        self.audit = Audit(context)
