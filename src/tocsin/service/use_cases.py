"""Every use case behind one name, for the API, the console and the commands."""

from tocsin.delivery.resolver import Resolver
from tocsin.mail.transport import Transport
from tocsin.metrics import Metrics
from tocsin.service.audit import Audit
from tocsin.service.authentication import Authentication
from tocsin.service.comments import Comments
from tocsin.service.conditions import Conditions
from tocsin.service.context import Context
from tocsin.service.deliveries import Deliveries
from tocsin.service.directory import Directory
from tocsin.service.erasure import Erasure
from tocsin.service.event_feed import EventFeed
from tocsin.service.explanations import Explanations
from tocsin.service.feedbacks import Feedbacks
from tocsin.service.housekeeping import Housekeeping, Retention
from tocsin.service.images import Images
from tocsin.service.limits import Limits
from tocsin.service.mails import Mails
from tocsin.service.operations import Operations
from tocsin.service.organizations import Organizations
from tocsin.service.partners import Partners
from tocsin.service.people import People
from tocsin.service.pings import Pinger, Pings
from tocsin.service.replays import Replays
from tocsin.service.reports import Reports
from tocsin.service.statistics import Watch
from tocsin.service.webhooks import Webhooks


class UseCases:
    def __init__(
        self,
        context: Context,
        resolver: Resolver,
        pinger: Pinger,
        retention: Retention,
        transport: Transport,
        mail_sender: str,
    ) -> None:
        metrics = Metrics()
        self.context = context
        self.hal = context.hal
        self.conditions = Conditions(context)
        self.authentication = Authentication(context)
        self.people = People(context)
        self.organizations = Organizations(context, self.authentication)
        self.partners = Partners(context)
        self.directory = Directory(context)
        self.feedbacks = Feedbacks(context)
        self.reports = Reports(context)
        self.operations = Operations(context)
        self.comments = Comments(context)
        self.images = Images(context, self.feedbacks, self.operations, self.organizations, self.people)
        self.webhooks = Webhooks(context, resolver)
        self.pings = Pings(context, self.webhooks, pinger)
        self.deliveries = Deliveries(context)
        self.replays = Replays(context)
        self.explanations = Explanations(context)
        self.audit = Audit(context)
        self.erasure = Erasure(context, self.people)
        limits = Limits(context)
        chores = (self.erasure.resume, self.conditions.forget, limits.forget, self.authentication.rotate)
        self.housekeeping = Housekeeping(context, metrics, retention, chores)
        self.mails = Mails(context, self.authentication, metrics, transport, mail_sender)
        self.event_feed = EventFeed(context)
        self.watch = Watch(context, metrics)
